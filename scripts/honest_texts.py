"""Honest text that is on every machine or follows from a pattern, so that models do not take its style for an attack's."""

from __future__ import annotations

import ast
import pathlib
import random
import re
import sysconfig


def documentation(limit: int) -> list[str]:
    """Paragraphs of the standard library's documentation."""
    found = set()
    root = pathlib.Path(sysconfig.get_paths()["stdlib"])
    for path in sorted([*root.glob("*.py"), *root.glob("[a-h]*/*.py")]):
        if "site-packages" in path.parts or "test" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8", "replace"))):
            if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef):
                found |= {p for p in (ast.get_docstring(node) or "").split("\n\n") if len(p) > 60}
    return random.Random(0).sample(sorted(found), limit)


def code(limit: int) -> list[str]:
    root = pathlib.Path(sysconfig.get_paths()["stdlib"])
    lines = {
        line.strip() for path in root.glob("*.py") for line in path.read_text("utf-8", "replace").split("\n")
    }
    return random.Random(0).sample(sorted(line for line in lines if len(line) > 20), limit)


def fragments(limit: int) -> list[str]:
    """Documentation cut at its punctuation: what begins or ends with a quote, a bracket or a semicolon breaks out of nothing."""
    chance, found = random.Random(1), []
    for text in documentation(limit):
        text = " ".join(text.split())
        places = [match.start() for match in re.finditer(r"[;|&\"'`(),:#=-]", text)] or [0]
        at = chance.choice(places)
        size = chance.randint(4, 60)
        found.append(text[at : at + size] if chance.random() < 0.6 else text[max(0, at - size) : at + 1])
    return found


_SEARCHES = (
    "{A} {B} {n}/{m}\"", "{n}' x {m}' {A} {B}", '"{A} {B}"', '"{A}" {B}', '{A} "{B}"', '"{A}" and "{B}"', '"{A}" + "{B} {C}',
    "{A} & {B}", "{A} & {B}; {C}", "{A}; {B} {C}", ";{A}", "{A};", "{A} {B}; {C}", "{A}'s {B}", "{A}s' {B}", "{A}in' {B}", "'{A}", "{A}'",
    '{A}"', "{A} or {B}", "{n} or {m} {A}", "{n} and {m}/{k}\" {A}", "{n}-{m} {A}", "{n} {A}", "{n} set {m} {A}", "{A} set", "#{n} {A}",
    "{A} #{n}", "{A} @ {B}", "@{A} {B}", "{A} -{B} -{C}", "{A} -- {B}", "{A} --{B}", "{A} ({B}, {C})", "({A} or {B}) {C}", "{A})", "({A}",
    "{A} | {B}", "{A} | {B} | {C}", "| {A} | {B} |", "| --- | ------ |", "{A}/{B} {C}", "{A} = {B}", "{A}={B}&{C}={n}", "/{A}?{B}={C}+{A}&{C}={n}",
    "/{A}?q=\"{B}\"&{C}={n}", "{A} > {n} && < {m}", "${n} {A}", "{A} for ${n}", "{n}% {A}", "{A} in {B} by {C}", "{A} is {B}", "not {A}, {B}",
    "{A} not {B}", "{A} like {B}", "select {A} from {B}", "{A} union {B}", "order {A} by {B}", "drop {A} in {B}", "{A} having {B}", "if {A} then {B}",
    "`{A}` {B}", "use `{A} {B}`", "<b>{A}</b> {B}", "<{A}> & {B}", "{A}*{B}", "{A}... {B}", "{n}:{m}:{k}", "{n};{m};{k}", "{A}_{B}-{n}",
    "{A}, {B} and {C}!", "{A}? {B}", "cat {A} and dog {B}", "{A}; find {B}", "{A} & more {B}", "who {A} | {B}", "{A}; time {B}", "{A}\n{B} {C}",
)  # fmt: skip


def searches(limit: int) -> list[str]:
    """What people type into fields: words with inches, quotes, ampersands and figures."""
    chance = random.Random(2)
    words = sorted({w for text in documentation(800) for w in re.findall(r"[a-z]{2,12}", text)})
    found = []
    for index in range(limit):
        form = _SEARCHES[index % len(_SEARCHES)]
        for name in "ABC":
            form = form.replace("{" + name + "}", chance.choice(words))
        for name in "nmk":
            form = form.replace("{" + name + "}", str(chance.randint(1, 99)))
        style = chance.random()
        found.append(form.upper() if style < 0.4 else form.capitalize() if style < 0.6 else form)
    return found


_QUESTIONS = (
    "What is the {A} {B} of the {C}?", "Can you define '{A}'?", "Can you clarify what '{A}' refers to?", "What does {A} {B} mean?",
    "What are some ways to {A} a {B} for a {C}?", "Can you explain how {A} and {B} {C}?", "How do I {A} the {B} in {C}?", "Why does {A} {B}?",
    "Write a short story about a {A} who must {B} the {C}.", "Write a poem about {A} and {B}.", "Imagine a world in which every {A} can {B}.",
    "I'm working on a {A} and need help with a {B} that can {C}.", "As a {A} in a {B}, I have been looking at {C}. What should I know?",
    "Let's imagine that {A} is a {B}. How would it {C}?", "Could you outline the {A} of {B}? Please use {C}.", "Who was the first {A} to {B}?",
    "When was the {A} {B} founded?", "Give me {n} ideas for {A} {B}.", "Translate this {A} into {B}: {C}.", "Summarize the {A} about {B}.",
    "Help me {A} my {B} before {C}.", "What is the phone number of the {A} {B}?", "What is the official website for {A} {B}?",
    "You are a {A} who likes {B}. Describe your {C}.", "Let's play a game about {A} and {B}.", "Compare {A} and {B}, and say which {C}.",
    "Please review this {A} and {B} the {C}.", "Send {A} the {B} from {C}.", "Where does the word {A} come from?", "Is it safe to {A} a {B}?",
    "Tell me about the history of {A} {B}.", "Create a table of {A}, {B} and {C}.", "Our {A} was {B}; please {C} by {n} o'clock.",
    "My {A} forgot the {B}. How can I reset it?", "What rules must a {A} follow to {B}?", "Explain the {A} that {B} people to ignore {C}.",
    "Add a {A} to the {B} and run the {C} again.", "Fix the {A} in {B}: it should {C}.", "Refactor {A} so that {B} is {C}.",
)  # fmt: skip


def questions(limit: int) -> list[str]:
    """What people ask of an assistant by day."""
    chance = random.Random(3)
    words = sorted({w for text in documentation(1500) for w in re.findall(r"[a-z]{3,12}", text)})
    found = []
    for index in range(limit):
        form = _QUESTIONS[index % len(_QUESTIONS)]
        for name in "ABC":
            form = form.replace("{" + name + "}", chance.choice(words))
        found.append(form.replace("{n}", str(chance.randint(2, 20))))
    return found
