"""Names of an exported graph's nodes: what belongs to the front end says so."""

import ast

FRONT_END = "front_end/"  # how the names of the front end's nodes begin
_SCOPES = "pkg.torch.onnx.name_scopes"  # where the exporter notes the modules that a node came from, outermost first


def name_front_end(graph, module: str = "student.front_end") -> int:
    """Let the names of all nodes that ``module`` wrote begin with ``front_end/``; how many there are.

    Quantisers leave these nodes alone, and a benchmark tells the features' share by them. The exporter notes for
    nearly every node which modules it came from; a node without such a note (one that an optimiser put in) belongs to
    the front end if everything that it reads and that was computed came from there.

    Arguments
    ---------
    graph
        An ``onnx.GraphProto`` fresh from the exporter, its notes still in place; changed in place.
    module
        The front end's place in what was exported.

    Example
    -------
    >>> from onnx import helper
    >>> relu = helper.make_node("Relu", ["waveform"], ["x"], name="relu")
    >>> _ = relu.metadata_props.add(key=_SCOPES, value="['', 'student', 'student.front_end', 'relu']")
    >>> graph = helper.make_graph([relu, helper.make_node("Exp", ["x"], ["y"], name="exp")], "g", [], [])
    >>> name_front_end(graph), [node.name for node in graph.node]
    (2, ['front_end/relu', 'front_end/exp'])
    """
    made_by_front_end: dict[str, bool] = {}  # of every computed value
    for node in graph.node:
        scopes = next((entry.value for entry in node.metadata_props if entry.key == _SCOPES), None)
        if scopes is not None:
            inside = any(scope == module or scope.startswith(f"{module}.") for scope in ast.literal_eval(scopes))
        else:
            origins = [made_by_front_end[value] for value in node.input if value in made_by_front_end]
            inside = bool(origins) and all(origins)
        if inside:
            node.name = FRONT_END + node.name.removeprefix(FRONT_END)
        made_by_front_end.update(dict.fromkeys(node.output, inside))
    return sum(node.name.startswith(FRONT_END) for node in graph.node)


def front_end_nodes(graph) -> list[str]:
    """Names of the nodes that belong to the front end."""
    return [node.name for node in graph.node if node.name.startswith(FRONT_END)]
