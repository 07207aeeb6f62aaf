"""Honest text that is on every machine or follows from a pattern, so that models do not take its style for an attack's."""

from __future__ import annotations

import ast
import pathlib
import random
import re
import sysconfig
from collections.abc import Mapping, Sequence


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


_TYPED = (
    "{pm} install {A}", "{pm} ci && {pm} run {task}", "{pm} run {task} -- --{A}", "git {git}", "git add -A && git commit -m \"{A} {B}\" && git push", "git {git} && {pm} run {task}", "cd {A} && make {task}", "make {task} | tee {A}.log",
    "docker compose up -d", "docker compose logs -f {A}", "docker build -t {A}:{n} . && docker push {A}:{n}", "docker run --rm -it -p {n}00:{n}00 {A}", "docker ps | grep {A}", "kubectl get pods -n {A} | grep {B}", "kubectl logs -f deploy/{A} --tail={n}",
    "kubectl apply -f {A}.yaml && kubectl rollout status deploy/{A}", "terraform init && terraform plan -out {A}.tfplan", "pytest -q tests/{A} -k {B}", "python -m {A} --{B} {n}", "python3 -m venv .venv && . .venv/bin/activate", "cargo build --release && cargo test",
    "go build ./... && go test ./...", "go test ./... | tee {A}.txt", "tar czf {A}.tgz {B}/ && ls -lh {A}.tgz", "tar xf {A}.tar.gz -C {B}", "grep -rn \"{A}\" {B}/ | wc -l", "grep -v {A} {B}.txt | sort | uniq -c", "find . -name \"*.{ext}\" | xargs grep {A}", "find {A} -type f | head -{n}",
    "ps aux | grep {A}", "cat {A}.{ext} | jq .{B}", "cat {A}.log | tail -{n}", "curl -s localhost:{n}00/{A} | jq .", "curl -sSfL https://example.com/{A}.tgz -o {A}.tgz", "ls -la {A} | head", "ls {A} && ls {B}", "mkdir -p {A}/{B} && cp {C}.{ext} {A}/{B}/", "rm -rf {A}/ && mkdir {A}",
    "RUN apt-get update && apt-get install -y {A} && rm -rf /var/lib/apt/lists/*", "RUN {pm} install && {pm} run {task}", "sudo apt-get update && sudo apt-get install -y lib{A}-dev", "sudo systemctl restart {A} && journalctl -u {A} -f", "systemctl status {A}; journalctl -u {A} -n {n}", "\t$(CC) $(CFLAGS) -o $@ $<",
    "\t@{pm} run {task} && echo {A}", "{A}: {B}\n\t$(MAKE) -C {C} {task}", "- run: {pm} ci && {pm} run {task}", "      - run: make {task}", "export {A}={n} && {pm} run {task}", "for f in *.{ext}; do echo $f; done", "if [ -f {A}.{ext} ]; then make {task}; fi", "test -d {A} || mkdir {A}", "wc -l {A}.{ext} | sort -n",
    "ssh {A}@{B}.internal 'systemctl status {C}'", "rsync -av {A}/ {B}/ && echo done", "psql -d {A} -c \"select count(*) from {B}\"", "sed -i 's/{A}/{B}/' {C}.{ext}", "awk '{{print ${n}}}' {A}.txt | sort -u", "poetry add {A} && poetry run pytest", "uv sync && uv run pytest -q", "echo \"{A}\" >> {B}.txt", "time make {task} 2>&1 | tail -{n}",
)  # fmt: skip
_TYPED_WORDS = {
    "pm": ("npm", "pnpm", "yarn", "bun", "pip", "uv", "brew"), "task": ("build", "test", "lint", "dev", "start", "clean", "deploy", "check", "format"), "ext": ("py", "js", "ts", "json", "yaml", "log", "txt", "csv", "go"),
    "git": ("status", "pull --rebase", "checkout -b {A}", "log --oneline | head -{n}", "diff {A} {B}", "stash && git pull", "fetch --all; git status", "rebase -i HEAD~{n}", "push origin {A}", "commit -am \"{A} {B}\" && git push", "diff --stat | tail -1"),
}  # fmt: skip


def commands(limit: int) -> list[str]:
    """Command lines that developers type, in files and fields: whole ones, that break out of nothing."""
    return _filled(_TYPED, limit, 4, _TYPED_WORDS)


_QUERIES = (
    "SELECT {A}, {B} FROM {C} WHERE {A} = {n}", "SELECT count(*) FROM {A} GROUP BY {B} HAVING count(*) > {n}", "SELECT * FROM {A} WHERE {B} = '{C}' OR {B} = 'x' ORDER BY {A} LIMIT {n}", "ALTER TABLE {A} ADD COLUMN {B} varchar({n}) DEFAULT '{C}'", "CREATE INDEX {A}_{B} ON {A} ({B}, {C})",
    "CREATE TABLE {A} (id int PRIMARY KEY, {B} text NOT NULL, {C} numeric({n}, 2) DEFAULT 0)", "BEGIN; UPDATE {A} SET {B} = {B} - {n} WHERE id = {m}; UPDATE {A} SET {B} = {B} + {n} WHERE id = {k}; COMMIT;", "INSERT INTO {A} ({B}, {C}) VALUES ('{A}', {n}), ('{B}', {m})", "UPDATE {A} SET {B} = '{C}' WHERE id IN ({n}, {m})",
    "SELECT a.{A}, b.{B} FROM {A} a LEFT JOIN {B} b ON a.id = b.{A}_id WHERE b.{C} IS NULL", "with {A} as (select * from {B}) select {C} from {A}", "feat: drop table {A}; select {B} from {C}", "fix: order by {A} and group by {B}", "docs: {A} or {B} = {n}", "{A}={n}&{B}={m}&or={k}", "/api/v{n}/{A}?where={B}%3D%27{C}%27&order=asc",
    "/{A}?filter={B} eq '{C}' and {A} gt {n}", "https://example.com/{A}?select={B},{C}&{A}=eq.{n}&order={B}.desc", "{{\"op\": \"select\", \"from\": \"{A}\", \"where\": {{\"id\": {n}}}, \"or\": [{{\"{B}\": {m}}}]}}", "{{\"query\": {{\"bool\": {{\"must\": [{{\"match\": {{\"{A}\": \"{B}\"}}}}]}}}}}}", "/* {A} {B} */ .{C} {{ order: {n}; }}",
    ".{A} > .{B} {{ content: '{C}'; }}", "{A}='{B}' or {A}='{C}'", "{A}=\"{B}\" and {C}>{n}", "status:open label:{A} -author:{B} or {C}", "don't {A}() in the {B}", "// {A}'s {B}; see {C}", "assert {A} == '{B}' or {C} is None", "if ({A} == '{B}' && {C} > {n}) {{ return; }}", "{A} = {B} or '{C}'", "where {A} and {B} or not {C}", "sleep({n})  # {A} {B}",
    "print('{A}', \"{B}\"); // {C}", "{A} union {B}: select all from the list", "|{A}|{B}|\n|---|---|\n|{n}|{m}|", "#{A}-{n}; {B}", "({A} = {n} or {B} = {m}) and {C}", "{A} -- {B} {C}", "-- {A} {B}\nSELECT {C} FROM {A};", "GRANT SELECT ON {A} TO {B}", "explain analyze select {A} from {B}",
)  # fmt: skip


def queries(limit: int) -> list[str]:
    """Statements, filters, addresses and code with the words of SQL, as they stand in files and fields."""
    return _filled(_QUERIES, limit, 5, {})


def _filled(forms: Sequence[str], limit: int, seed: int, others: Mapping[str, Sequence[str]]) -> list[str]:
    chance = random.Random(seed)
    words = sorted({w for text in documentation(800) for w in re.findall(r"[a-z]{3,10}", text)})
    found = []
    for index in range(limit):
        form = forms[index % len(forms)]
        for name, choices in others.items():
            while "{" + name + "}" in form:
                form = form.replace("{" + name + "}", chance.choice(choices), 1)
        for name in "ABC":
            form = form.replace("{" + name + "}", chance.choice(words))
        for name in "nmk":
            form = form.replace("{" + name + "}", str(chance.randint(1, 99)))
        form = form.replace("{{", "{").replace("}}", "}")
        found.append(form.lower() if chance.random() < 0.2 else form)
    return found
