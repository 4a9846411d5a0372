"""Small random encoders in ``save_pretrained`` layout."""

from pathlib import Path

import torch

CONVOLUTIONS = {"conv_dim": (8, 8, 8, 8), "conv_kernel": (10, 8, 4, 4), "conv_stride": (5, 4, 4, 4)}
SMALL = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}


def save_encoder(kind: str, folder: Path, **options) -> Path:
    """Write a random model of three layers with its feature extractor."""
    import transformers as tf

    torch.manual_seed(3)
    if kind == "whisper":
        tokens = {
            "vocab_size": 12,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "decoder_start_token_id": 1,
        }
        heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
        widths = {"d_model": 16, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "encoder_layers": 3, "decoder_layers": 1}
        config = tf.WhisperConfig(num_mel_bins=80, **widths, **heads, **tokens, **options)
        model, extractor = tf.WhisperModel(config), tf.WhisperFeatureExtractor()
    else:
        classes = {"wav2vec2": "Wav2Vec2", "hubert": "Hubert", "wavlm": "WavLM"}
        positions = {"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2, "vocab_size": 5}
        config = getattr(tf, f"{classes[kind]}Config")(**SMALL, **CONVOLUTIONS, **positions, **options)
        model = getattr(tf, f"{classes[kind]}Model")(config)
        extractor = tf.Wav2Vec2FeatureExtractor(do_normalize=True)
    model.save_pretrained(folder)
    extractor.save_pretrained(folder)
    return folder
