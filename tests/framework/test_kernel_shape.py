"""What the kernel's shape promises, read off its source."""

import ast
from pathlib import Path

import hauberk

KERNEL = Path(hauberk.__file__).parent


def calls_of_hooks(path: Path) -> list[int]:
    """Lines on which an implementation's function is called."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and (node.func.attr == "function" or node.func.attr.startswith("on_"))
    ]


def test_dispatch_is_the_only_place_that_calls_a_hook():
    assert calls_of_hooks(KERNEL / "dispatch.py")
    elsewhere = {
        path.name: lines
        for path in KERNEL.glob("*.py")
        if path.name != "dispatch.py" and (lines := calls_of_hooks(path))
    }
    assert elsewhere == {}


def test_pluggy_calls_no_hook_either():
    relays = [
        (path.name, node.lineno)
        for path in KERNEL.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Attribute)
        and node.func.value.attr == "hook"
    ]
    assert relays == []


def test_the_kernel_sleeps_nowhere():
    for path in KERNEL.glob("*.py"):
        assert "time.sleep" not in path.read_text("utf-8"), path.name
