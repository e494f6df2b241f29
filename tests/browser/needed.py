"""The cells of a notebook that one of its cells needs.

The lessons run from top to bottom under nbval. A test in a browser looks at one slider, so it runs
only what makes the frames of that slider.
"""

import ast
import builtins
import symtable


def needed(sources, last):
    """The places of the cells, in order, that must run before cell `last`, and `last` itself.

    sources : the code of the cells, from the first one. A cell is needed if it makes or changes a
        name that a later needed cell reads. A call that changes its argument is not seen. So a
        cell with such a call may be left out, and then a name has an older value.
    """
    reads, _, _ = _names(sources[last])
    places = [last]
    for place in reversed(range(last)):
        own, made, changed = _names(sources[place])
        if reads & (made | changed):
            places.insert(0, place)
            reads = (reads - (made - changed)) | own
    return places


def _names(source):
    """The names that a cell reads before it makes them, those it makes, and those it changes."""
    reads, makes, changes = set(), set(), set()
    for statement in ast.parse(source).body:
        read, made = _of_statement(ast.unparse(statement))
        reads |= read - makes - _loop_names(statement)
        makes |= made
        for node in ast.walk(statement):
            if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
                changes.add(node.target.id)
            if isinstance(node, (ast.Attribute, ast.Subscript)) and isinstance(node.ctx, ast.Store):
                while isinstance(node, (ast.Attribute, ast.Subscript)):
                    node = node.value
                if isinstance(node, ast.Name):
                    changes.add(node.id)
    return reads - set(dir(builtins)), makes, changes


def _of_statement(source):
    """The global names that a statement reads, also inside functions, and those it makes."""
    top = symtable.symtable(source, "cell", "exec")
    reads = {symbol.get_name() for symbol in top.get_symbols() if symbol.is_referenced()}
    makes = {s.get_name() for s in top.get_symbols() if s.is_assigned() or s.is_imported()}
    inner = list(top.get_children())
    while inner:
        table = inner.pop()
        reads |= {s.get_name() for s in table.get_symbols() if s.is_global() and s.is_referenced()}
        inner += table.get_children()
    return reads, makes


def _loop_names(statement):
    """The names that the loops and `with` blocks of a statement make for their bodies."""
    nodes = [node.target for node in ast.walk(statement) if isinstance(node, ast.For)]
    for node in ast.walk(statement):
        if isinstance(node, ast.With):
            nodes += [item.optional_vars for item in node.items if item.optional_vars]
    return {name.id for node in nodes for name in ast.walk(node) if isinstance(name, ast.Name)}
