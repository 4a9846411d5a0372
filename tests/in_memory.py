"""A stand-in for ``AudioStore``."""

from akd_toolkit.data.audio_store import VIEW_SEED, ViewSettings, make_view


class InMemoryAudio:
    """A corpus whose clean waveforms are in a dict: utterance ID -> [samples]."""

    def __init__(self, manifest, waveforms: dict, settings: ViewSettings = ViewSettings()):
        self.manifest, self.waveforms, self.settings = manifest, waveforms, settings

    def prepare(self, num_views: int, jobs: int = 1, backend: str = "local") -> None:
        pass

    def waveform(self, utterance_id: str, view: int = 0):
        return make_view(self.waveforms[utterance_id], view, utterance_id, VIEW_SEED, self.settings)
