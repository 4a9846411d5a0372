"""Models in ``save_pretrained`` layout, local or from the hub: found, and loaded without running their code."""

import logging
from collections.abc import Callable
from pathlib import Path

import torch

from akd_toolkit.data.files import is_hub_name

logger = logging.getLogger(__name__)


def find_folder(source: str, revision: str | None = None, patterns: tuple[str, ...] = ("*.json",)) -> Path:
    """The local folder of a model: ``source`` itself, in ``save_pretrained`` layout, or a copy of the hub's files.

    Only safetensors are read, and no code of the model is ever run.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        weight_files(folder)
        return folder.resolve()
    if not is_hub_name(source):
        raise FileNotFoundError(f"teacher folder {source} does not exist; give a save_pretrained folder or a hub name.")
    from huggingface_hub import HfApi, snapshot_download

    wanted = {"allow_patterns": [*patterns, "*.safetensors"]}
    try:
        folder = Path(snapshot_download(source, revision=revision, **wanted))
        if revision is None and not any(folder.glob("*.safetensors")):
            # Older models hold a pickle only; the hub's own converter keeps the same weights on another branch.
            from transformers.safetensors_conversion import get_conversion_pr_reference

            revision = get_conversion_pr_reference(HfApi(), source)
            logger.info("teacher %s: weights of revision %s; name it in the YAML to work offline.", source, revision)
            folder = Path(snapshot_download(source, revision=revision, **wanted))
    except Exception as error:  # of many kinds, from no network to no such model
        raise FileNotFoundError(
            f"teacher {source} is neither in models_folder nor available from the hub ({type(error).__name__}); check "
            "the name and the network, or give --models_folder, a folder that holds it as owner/name."
        ) from error
    weight_files(folder)
    return folder


def weight_files(folder: Path) -> list[Path]:
    files = sorted(folder.glob("model*.safetensors"))
    if not files:
        raise FileNotFoundError(
            f"teacher folder {folder} holds no weights (model.safetensors); copy them there or save the model again."
        )
    return files


def load_checked(kind, folder: Path, title: str, is_used: Callable[[str], bool], **smaller):
    """A model of ``kind``, such as ``AutoModel``, from safetensors; ValueError if a weight that it uses is missing."""
    from transformers.utils import logging as transformers_logging

    verbosity = transformers_logging.get_verbosity()
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()  # unused keys are expected: layers were left out
    try:
        model, info = kind.from_pretrained(
            folder,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # so that they are listed, and refused below
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            dtype=torch.float32,
            **smaller,
        )
    except Exception as error:
        raise ValueError(f"teacher {title} cannot be loaded from {folder} ({error}); copy the folder again.") from error
    finally:
        transformers_logging.set_verbosity(verbosity)
        transformers_logging.enable_progress_bar()
    mismatched = {entry if isinstance(entry, str) else entry[0] for entry in info["mismatched_keys"]}
    wrong = sorted(filter(is_used, {*info["missing_keys"], *mismatched}))
    if wrong:
        raise ValueError(
            f"teacher {title} would be partly random: {len(wrong)} weights are missing from {folder} or have another "
            f"shape ({', '.join(wrong[:5])}{', ...' if len(wrong) > 5 else ''}). Use the model's complete folder."
        )
    return model
