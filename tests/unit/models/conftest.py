"""A small Whisper with random weights."""

import pytest
import torch
import transformers


@pytest.fixture(scope="module")
def whisper():
    encoder = {"encoder_layers": 3, "encoder_attention_heads": 4, "encoder_ffn_dim": 48, "max_source_positions": 50}
    decoder = {"decoder_layers": 1, "decoder_attention_heads": 4, "decoder_ffn_dim": 48, "max_target_positions": 4}
    tokens = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"), 0)
    tokens |= {"vocab_size": 10, "suppress_tokens": None, "begin_suppress_tokens": None}
    config = transformers.WhisperConfig(num_mel_bins=80, d_model=32, **encoder, **decoder, **tokens)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = transformers.WhisperModel(config).eval()
        for parameter in model.parameters():
            if parameter.requires_grad:
                torch.nn.init.normal_(parameter, std=0.2)
    return model


@pytest.fixture(scope="module")
def source(whisper, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whisper")
    whisper.save_pretrained(folder)
    return str(folder)
