"""Pretrain the layers of a micro CNN on unlabelled speech: they learn to predict what a large teacher computes.

    python train.py hparams/pretrained_cnn.yaml --sources "{BAVED: /path/to/BAVED, nEMO: /path/to/nEMO}"
    python train.py hparams/pretrained_cnn.yaml --debug          (a minute, on generated speech)

The layers go to results/pretrained_cnn; any recipe's student starts from them:

    python train.py hparams/kd.yaml --with ../../hparams/pretrained_cnn.yaml ...
"""

import sys

from akd_toolkit.data.synthetic import generate_corpus
from akd_toolkit.experiment.pretraining import load_pretraining, pretrain
from akd_toolkit.recipe import run_recipe


def main(argv):
    pretraining = load_pretraining(argv)
    if pretraining.run_opts.debug:
        for folder in pretraining.settings.sources.values():
            generate_corpus(folder, speakers=4, utterances_per_speaker_and_emotion=1)
    pretrain(pretraining)


if __name__ == "__main__":
    sys.exit(run_recipe(main))
