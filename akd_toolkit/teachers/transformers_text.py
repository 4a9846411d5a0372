"""Frozen text encoders of the ``transformers`` library, for teachers that read what is said."""

from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from akd_toolkit.registry import TEACHERS
from akd_toolkit.teachers.pretrained import load_checked, weight_files
from akd_toolkit.teachers.transformers_encoder import TransformersEncoder

MAX_TOKENS = 512  # of one pass; longer transcripts are cut into several
TOKENIZER_FILES = ("tokenizer.json", "*.model", "vocab.txt", "merges.txt")


@TEACHERS.register("transformers_text")
class TransformersText(TransformersEncoder):
    """A frozen text encoder (BERT, RoBERTa, XLM-R, ALBERT, T5, ...) on the transcript: mean over tokens, every layer.

    Layer 0 is the embedding of the tokens, layer k the output of the k-th transformer layer. Features are [L, D].
    An utterance without a transcript is masked. Where actors speak given sentences, words tell nothing of the emotion:
    the report says whether such a teacher is above chance.

    Source: Devlin et al. 2019 (BERT), Conneau et al. 2020 (XLM-R), Lan et al. 2020 (ALBERT), Raffel et al. 2020 (T5);
    tokenizers: Kudo & Richardson 2018 (SentencePiece).

    Arguments and errors are those of ``transformers_encoder``, without ``frame_layer``; the folder holds the tokenizer.

    Example
    -------
    >>> TransformersText("./no/such/folder")
    Traceback (most recent call last):
    FileNotFoundError: teacher folder ./no/such/folder does not exist; give a save_pretrained folder or a hub name.
    """

    name = "transformers_text"
    modality = "text"
    version = 1
    frame_rate_hz = None
    model_types = (
        *("albert", "bert", "camembert", "deberta-v2", "distilbert", "electra", "mpnet"),
        *("mt5", "roberta", "t5", "umt5", "xlm-roberta", "xlm-roberta-xl"),
    )
    files = ("config.json",)
    patterns = ("*.json", *TOKENIZER_FILES[1:])
    unused = r"decoder\.|lm_head|cls\.|.*pooler"
    example_options = {"source": "FacebookAI/xlm-roberta-base"}

    def __init__(self, source: str, layers: list[int] | None = None, revision: str | None = None):
        super().__init__(source, layers, None, revision)
        if not self._tokenizer_files:
            names = ", ".join(TOKENIZER_FILES)
            raise FileNotFoundError(f"teacher folder {self.folder} holds no tokenizer ({names}); copy it there.")

    @property
    def _depth(self) -> int:
        return next(self.config[key] for key in ("num_hidden_layers", "num_layers", "n_layers") if key in self.config)

    @property
    def feature_dim(self) -> int:
        return next(self.config[key] for key in ("hidden_size", "d_model", "dim") if key in self.config)

    @property
    def _tokenizer_files(self) -> list[Path]:
        return sorted(path for pattern in TOKENIZER_FILES for path in self.folder.glob(pattern))

    @property
    def _hashed(self) -> list[Path]:
        return [*weight_files(self.folder), self.folder / "config.json", *self._tokenizer_files]

    @torch.no_grad()
    def features(self, transcript: str) -> np.ndarray:
        parts = self._tokenizer(
            transcript, truncation=True, max_length=self._max_tokens, return_overflowing_tokens=True
        ).input_ids
        states = [self._states(part) for part in (parts if isinstance(parts[0], list) else [parts])]
        return torch.cat(states, dim=1).mean(dim=1).cpu().numpy()  # [L, D]

    def _states(self, tokens: list[int]) -> torch.Tensor:
        """Every layer that is described, [L, tokens, D]."""
        if max(tokens) >= self.config["vocab_size"]:
            raise ValueError(
                f"teacher {self.title}: the tokenizer in {self.folder} has more tokens than the model's "
                f"{self.config['vocab_size']}; copy both from the same model."
            )
        hidden = self._loaded(torch.tensor([tokens], device=self.device), output_hidden_states=True).hidden_states
        return torch.stack([hidden[layer][0] for layer in self.layers]).float()

    @property
    def _max_tokens(self) -> int:
        positions = self.config.get("max_position_embeddings", MAX_TOKENS + 2) - 2  # RoBERTa does not use the first two
        return min(positions, MAX_TOKENS, self._tokenizer.model_max_length)

    @cached_property
    def _tokenizer(self):
        from transformers import AutoTokenizer

        try:
            return AutoTokenizer.from_pretrained(self.folder, local_files_only=True, trust_remote_code=False)
        except Exception as error:
            reason = str(error).splitlines()[0]
            raise ValueError(
                f"teacher {self.title}: its tokenizer cannot be loaded from {self.folder} ({reason}); copy it again."
            ) from error

    @cached_property
    def _loaded(self) -> torch.nn.Module:
        from transformers import AutoModelForTextEncoding

        model = load_checked(AutoModelForTextEncoding, self.folder, self.title, lambda key: "pooler" not in key)
        return model.to(self.device).eval().requires_grad_(False)
