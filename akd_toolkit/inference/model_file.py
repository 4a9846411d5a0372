"""Reading an ONNX file that may come from anywhere: it must need nothing but itself."""

from collections.abc import Iterator
from pathlib import Path

STANDARD = ("", "ai.onnx")  # domains of operators that every runtime brings along


def load_model(path):
    """The file as an ``onnx.ModelProto``; refused as by ``read_checked``.

    Raises
    ------
    FileNotFoundError, ValueError
        As ``read_checked``.
    """
    return _parsed(read_checked(path), path)


def read_checked(path) -> bytes:
    """The bytes of an ONNX file that keeps all its weights in itself and calls standard operators alone.

    A file from the net shall read no other file and run no foreign code.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no ONNX file, keeps weights in other files, or calls operators that are not of the ONNX standard.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} does not exist; export a student to it first.")
    stored = Path(path).read_bytes()
    model = _parsed(stored, path)
    for part in (model.graph, *model.functions):
        for node in _nodes(part):
            if node.domain not in STANDARD:
                raise ValueError(
                    f"{path} calls {node.op_type} of '{node.domain}', which is not of the ONNX standard, so it is not "
                    "opened; export the student again with akd export."
                )
        if any(tensor.external_data or tensor.data_location for tensor in _tensors(part)):
            raise ValueError(
                f"{path} keeps weights in other files, so it is not opened; an exported student is one file: export "
                "it again with akd export."
            )
    return stored


def unreadable(path, error: Exception) -> ValueError:
    """The error for a file that the library refuses with a class and a sentence of its own."""
    reason = (str(error) or type(error).__name__).split("\n")[0]
    return ValueError(f"{path} is not an ONNX file that ONNX Runtime reads ({reason}); export it again.")


def _parsed(stored: bytes, path):
    import onnx

    try:
        return onnx.load_model_from_string(stored)
    except Exception as error:  # protobuf's own classes
        raise unreadable(path, error) from None


def _nodes(graph) -> Iterator:
    """Nodes of a graph or function, and of the graphs within them."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)


def _tensors(graph) -> Iterator:
    """Every tensor that a graph or function stores, wherever it lies."""
    yield from getattr(graph, "initializer", ())
    sparse = [*getattr(graph, "sparse_initializer", ())]
    for node in graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            sparse += [attribute.sparse_tensor, *attribute.sparse_tensors]
            for inner in (attribute.g, *attribute.graphs):
                yield from _tensors(inner)
    for each in sparse:
        yield from (each.values, each.indices)
