"""The filesystem server of the demo: five tools in a sandbox directory, so that rules on them can be seen at work."""

from __future__ import annotations

from pathlib import Path

from gateway.demo.speaking import SpeakingApp, Tool, ToolFailed

LARGEST = 1024 * 1024
FOUND = 200


class Sandbox:
    """The tools. Every path is resolved, links included, and must lie below `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def read_file(self, path: str) -> str:
        """Reads a text file."""
        file = self._inside(path)
        if not file.is_file():
            raise ToolFailed(f"there is no file {path!r}")
        if file.stat().st_size > LARGEST:
            raise ToolFailed(f"{path!r} is larger than {LARGEST} bytes")
        return file.read_text("utf-8", "replace")

    def write_file(self, path: str, content: str) -> str:
        """Writes a text file, and the directories that it needs."""
        if len(content.encode()) > LARGEST:
            raise ToolFailed(f"the content is larger than {LARGEST} bytes")
        file = self._inside(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, "utf-8")
        return f"wrote {path}"

    def list_directory(self, path: str = ".") -> str:
        """Lists a directory; names of directories end with a slash."""
        directory = self._inside(path)
        if not directory.is_dir():
            raise ToolFailed(f"there is no directory {path!r}")
        return "\n".join(sorted(each.name + "/" * each.is_dir() for each in directory.iterdir()))

    def search(self, pattern: str, path: str = ".") -> str:
        """Finds files by a part of their name."""
        directory = self._inside(path)
        found = (each for each in directory.rglob("*") if pattern.lower() in each.name.lower())
        names = sorted(str(each.relative_to(self._root)) for each in found)
        return "\n".join(names[:FOUND]) or "nothing found"

    def delete_file(self, path: str) -> str:
        """Deletes a file."""
        file = self._inside(path)
        if not file.is_file():
            raise ToolFailed(f"there is no file {path!r}")
        file.unlink()
        return f"deleted {path}"

    def _inside(self, path: str) -> Path:
        resolved = (self._root / path.removeprefix(str(self._root)).lstrip("/")).resolve()
        if not resolved.is_relative_to(self._root):
            raise ToolFailed(f"{path!r} lies outside of the sandbox")
        return resolved


def app(root: Path) -> SpeakingApp:
    """`root` is made where it is missing, with a first file in it."""
    root.mkdir(parents=True, exist_ok=True)
    if not any(root.iterdir()):
        (root / "hello.txt").write_text("This is a test file for MCP access.\n", "utf-8")
    box = Sandbox(root)
    return SpeakingApp("Filesystem", [
        Tool(box.read_file, "Read file", read_only=True), Tool(box.write_file, "Write file"),
        Tool(box.list_directory, "List directory", read_only=True), Tool(box.search, "Search", read_only=True),
        Tool(box.delete_file, "Delete file"),
    ])  # fmt: skip
