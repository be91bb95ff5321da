"""Sounds that highlight detection is fitted on: free clips out of Debian packages, and generators for the rest.

All of it may be redistributed under the licences in each package's `usr/share/doc/*/copyright` (GPL, GFDL, CC BY-SA,
MPL, CC0); nothing of it is in this repository, and only fitted numbers leave this folder.
`python bench/highlights/fit.py --fetch` downloads and unpacks the packages.
"""

import fnmatch
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float32]
RATE = 16_000
MAX_CLIP_S = 20.0
"""Music and ambience are long: twenty seconds of each are enough."""


@dataclass(frozen=True)
class Entry:
    """Clips of one class in one package: files whose path matches one of the patterns."""

    role: str
    """event, speech, distractor or bed."""
    label: str
    package: str
    patterns: tuple[str, ...]
    group: str = ""
    """Clips of one group stay on one side of a split; by default, the package."""

    @property
    def source(self) -> str:
        """Where the clips come from, for leaving one source out."""
        return self.group or self.package


CATALOGUE: tuple[Entry, ...] = (
    Entry("event", "laughter", "hedgewars-data", ("*/voices/*/Laugh.ogg",)),
    Entry("event", "laughter", "scratch", ("*/Human/Laugh-*",)),
    Entry("event", "laughter", "ktuberling-data", ("*/tux-laugh.ogg", "*/say-laugh.ogg")),
    Entry("event", "laughter", "tuxpaint-data", ("*/giggle.wav",)),
    Entry("event", "laughter", "wesnoth-1.16-data", ("*/dwarf-laugh.wav", "*/witches-laugh.wav")),
    Entry("event", "applause", "libreoffice-common", ("*/sounds/applause.wav",)),
    Entry("event", "applause", "circuslinux-data", ("*/applause.wav",)),
    Entry("event", "applause", "foobillardplus-data", ("*/applause.wav",)),
    Entry("event", "applause", "frozen-bubble-data", ("*/applause.ogg",)),
    Entry("event", "applause", "freetennis-common", ("*/pubblico*.wav",)),
    Entry("event", "cheering", "etw-data", ("*/crowd/crowd??.wav",)),
    Entry("event", "cheering", "circuslinux-data", ("*/cheering.wav",)),
    Entry("event", "cheering", "tuxfootball", ("*/crowdcheer.wav", "*/crowdooh.wav", "*/crowdboo.wav")),
    Entry("event", "cheering", "scorched3d-data", ("*/cheeringloop.wav",)),
    Entry("event", "cheering", "lincity-ng-data", ("*/SportsCroud*.wav",)),
    Entry(
        "event",
        "shout",
        "hedgewars-data",
        ("*/voices/*/O[wou]*.ogg", "*/voices/*/Kamikaze.ogg", "*/voices/*/Nooo.ogg", "*/voices/*/Jump?.ogg"),
    ),
    Entry("event", "shout", "scratch", ("*/Human/Scream-*",)),
    Entry("event", "shout", "scorched3d-data", ("*/misc/scream*.wav",)),
    Entry("event", "shout", "freedink-data", ("*/wscream.wav",)),
    Entry("event", "shout", "wordwarvi-sound", ("*/fallingscreamhi.ogg",)),
    Entry("event", "shout", "wesnoth-1.16-data", ("*/human-*-die-*.ogg", "*/human-die-*.ogg")),
    Entry("event", "shout", "warmux-data", ("*/voices/death?.ogg", "*/voices/injured_high?.ogg")),
    *(
        Entry(
            "speech",
            lang,
            f"asterisk-core-sounds-{lang}-wav",
            ("*/vm-*.wav", "*/conf-*.wav", "*/agent-*.wav", "*/demo-*"),
        )
        for lang in ("en", "es", "fr", "it", "ru")
    ),
    *(
        Entry("speech", lang, "tuxpaint-stamps-default", (f"*_desc_{lang}.ogg",), group=f"tuxpaint-{lang}")
        for lang in ("fr", "ru", "ro", "ca", "bg", "es", "be", "el", "da")
    ),
    Entry("speech", "cs", "fillets-ng-data-cs", ("*/cs/*-m-*.ogg",), group="fillets-cs-m"),
    Entry("speech", "cs", "fillets-ng-data-cs", ("*/cs/*-v-*.ogg",), group="fillets-cs-v"),
    Entry("speech", "nl", "fillets-ng-data-nl", ("*/nl/*-m-*.ogg",), group="fillets-nl-m"),
    Entry("speech", "nl", "fillets-ng-data-nl", ("*/nl/*-v-*.ogg",), group="fillets-nl-v"),
    Entry("distractor", "human", "scratch", ("*/Human/Cough*", "*/Human/Sneeze*", "*/Human/Baby*", "*/Human/Foot*")),
    Entry("distractor", "effects", "scratch", ("*/Effects/*", "*/Electronic/*", "*/Animal/*", "*/Percussion/*")),
    Entry("distractor", "cough", "hedgewars-data", ("*/voices/*/*Cough*.ogg",)),
    Entry("distractor", "effects", "hedgewars-data", ("*/Data/Sounds/*.ogg",)),
    Entry("distractor", "weapons", "warmux-data", ("*/weapons/*.ogg",)),
    Entry(
        "distractor",
        "creatures",
        "wesnoth-1.16-data",
        ("*/wolf-*", "*/horse-*", "*/gryphon-*", "*/bat-*", "*/birds*", "*/horn-*", "*/sword*", "*/bow*", "*/light*"),
    ),
    Entry(
        "distractor", "weather", "wesnoth-1.16-data", ("*/morning.ogg", "*/night.ogg", "*/campfire.ogg", "*/ship.ogg")
    ),
    Entry(
        "distractor", "weather", "7kaa-data", ("*/RAIN.WAV", "*/THUNDER.WAV", "*/WIND.WAV", "*/FIRE.WAV", "*/QUAKE.WAV")
    ),
    Entry("distractor", "keyboard", "bucklespring-data", ("*.wav",)),
    Entry("distractor", "engines", "searchandrescue-data", ("*.wav",)),
    Entry(
        "distractor",
        "city",
        "lincity-ng-data",
        (
            "*/Traf*",
            "*/Rail*",
            "*/Dirt*",
            "*/Mill*",
            "*/Industry*",
            "*/Water*",
            "*/Fire*",
            "*/Raze*",
            "*/Rocket*",
            "*/Coal*",
        ),
    ),
    Entry("distractor", "fight", "lugaru-data", ("*.ogg",)),
    Entry("distractor", "machines", "colobot-common-sounds", ("*.wav",)),
    Entry("distractor", "steps", "minetest-data", ("*.ogg",)),
    Entry("distractor", "desktop", "libreoffice-common", ("*/sounds/[b-z]*.wav",)),
    Entry("distractor", "whistle", "tuxfootball", ("*/refwhistle*.wav",)),
    Entry("distractor", "tennis", "freetennis-common", ("*/[!p]*.wav",)),
    Entry("distractor", "battle", "boswars-data", ("*/sfx_*.wav",)),
    Entry("distractor", "pinball", "pinball-data", ("*.wav",)),
    Entry("distractor", "tanks", "bzflag-data", ("*.wav",)),
    Entry("distractor", "gamine", "gamine-data", ("*.ogg", "*.wav")),
    Entry("distractor", "stamps", "tuxpaint-stamps-default", ("*/animals/*[a-z].wav", "*/vehicles/*[a-z].wav")),
    Entry("distractor", "effects", "scorched3d-data", ("*/wav/shoot/*", "*/wav/explosions/*", "*/wav/misc/[!cs]*")),
    Entry("distractor", "music", "scratch", ("*/Music Loops/*", "*/Instruments/*", "*/Vocals/*")),
    Entry("distractor", "music", "asterisk-moh-opsound-wav", ("*.wav",)),
    Entry("distractor", "music", "extremetuxracer-data", ("*.ogg",)),
    Entry("distractor", "music", "pushover-data", ("*.ogg",)),
    Entry("distractor", "music", "warmux-data", ("*/music/*.ogg",)),
    Entry("distractor", "music", "colobot-common-sounds", ("*.ogg",)),
    Entry("bed", "party", "scratch", ("*/Human/PartyNoise*",)),
    Entry(
        "bed", "street", "lincity-ng-data", ("*/Market*", "*/Commune*", "*/Resid*", "*/Shanty*", "*/Harbor*", "*/Univ*")
    ),
)


PACK_SOURCES = frozenset(
    {
        "hedgewars-data",
        "libreoffice-common",
        "frozen-bubble-data",
        "freetennis-common",
        "etw-data",
        "tuxfootball",
        "asterisk-moh-opsound-wav",
    }
)
"""Packages that the pack's recordings use too: left out of the fit, nothing in the pack has been heard before."""


@dataclass(frozen=True)
class Clip:
    """A sound at 16 kHz with silence trimmed, and where it comes from."""

    role: str
    label: str
    source: str
    name: str
    samples: Sound


def packages() -> list[str]:
    """Return the Debian packages of the catalogue."""
    return sorted({entry.package for entry in CATALOGUE})


def load_clips(folder: Path, *, per_entry: int = 120) -> list[Clip]:
    """Decode the catalogue's clips from unpacked packages under `folder`; at most `per_entry` of each entry."""
    clips: list[Clip] = []
    for entry in CATALOGUE:
        root = folder / entry.package
        paths = sorted(p for p in root.rglob("*") if p.is_file() and _matches(p, entry.patterns))
        step = max(1, len(paths) // per_entry)
        clips += [
            Clip(entry.role, entry.label, entry.source, str(path.relative_to(root)), samples)
            for path in paths[::step][:per_entry]
            if (samples := _decode(path)) is not None
        ]
    return clips


def _matches(path: Path, patterns: tuple[str, ...]) -> bool:
    known = path.suffix.lower() in {".ogg", ".wav", ".mp3", ".oga", ".flac"}
    return known and any(fnmatch.fnmatch(str(path), pattern) for pattern in patterns)


def _decode(path: Path) -> Sound | None:
    """Return a clip at 16 kHz mono, trimmed and at full scale, or None when it holds nothing."""
    try:
        with av.open(str(path)) as container:
            samples = np.concatenate([*_frames(container)]) if container.streams.audio else np.empty(0, np.float32)
    except (av.error.FFmpegError, ValueError):
        return None
    loud = np.flatnonzero(np.abs(samples) > 0.02 * np.abs(samples).max(initial=0.0))
    if len(loud) < RATE // 10:
        return None
    samples = samples[loud[0] : loud[-1] + 1]
    return np.asarray(samples / np.abs(samples).max(), dtype=np.float32)


def _frames(container: "av.container.InputContainer") -> Iterator[Sound]:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    count = 0
    for frame in container.decode(audio=0):
        frame.pts = None
        for part in resampler.resample(frame):
            yield part.to_ndarray()[0]
            count += part.samples
        if count > MAX_CLIP_S * RATE:
            return
    for part in resampler.resample(None):
        yield part.to_ndarray()[0]
