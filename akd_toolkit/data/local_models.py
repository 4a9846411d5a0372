"""Pretrained models in a local folder instead of on the hub."""

from pathlib import Path

import ruamel.yaml

from akd_toolkit.data.files import is_hub_name

INDEX = "models.yaml"  # hub name: folder beside this file


def local_source(source: str, models_folder: str | Path | None) -> str:
    """The folder of a model by its hub name, or ``source`` itself if ``models_folder`` does not have it.

    Arguments
    ---------
    source
        Name on the hub, such as ``openai/whisper-base``, or a path.
    models_folder
        Holds the model as ``owner/name``, or a models.yaml that maps names of models to folders beside it; or None.

    Example
    -------
    >>> import tempfile
    >>> models = Path(tempfile.mkdtemp())
    >>> (models / "whisper").mkdir()
    >>> _ = (models / "models.yaml").write_text("openai/whisper-base: whisper")
    >>> local_source("openai/whisper-base", models) == str(models / "whisper"), local_source("a/b", models)
    (True, 'a/b')
    """
    if models_folder is None or not is_hub_name(source):
        return source
    folder = Path(models_folder).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"models_folder {folder} is not a folder; give one that holds models, or null.")
    index, path = {}, folder / INDEX
    if path.is_file():
        try:
            index = ruamel.yaml.YAML(typ="safe").load(path.read_text(encoding="utf-8")) or {}
        except (ruamel.yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is not valid YAML ({str(error).splitlines()[0]}); correct it.") from None
        if not isinstance(index, dict) or not all(isinstance(text, str) for pair in index.items() for text in pair):
            raise ValueError(f"{path} must map names of models to folders, such as openai/whisper-base: whisper-base.")
    if source in index and not (folder / index[source]).is_dir():
        raise FileNotFoundError(f"{path} maps {source} to {index[source]}, which is not a folder beside it.")
    local = folder / index.get(source, source)
    return str(local) if local.is_dir() else source
