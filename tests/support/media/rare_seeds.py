"""Small recordings in the rarer containers that are accepted, for damaging them."""

from pathlib import Path

import numpy as np
from support.media.video import record

SIZE = (64, 48)
CIF = (352, 288)
YUV = "-pix_fmt yuv420p"
PICTURES = {
    "a.gif": ("gif -pix_fmt pal8", SIZE),
    "a.apng": ("apng -pix_fmt rgb24 -plays 1", SIZE),
    "a.y4m": (f"wrapped_avframe {YUV}", SIZE),
    "a.ivf": (f"libvpx -b:v 100k {YUV}", SIZE),
    "a.h264": (f"libx264 -preset ultrafast {YUV}", SIZE),
    "a.265": (f"libx265 -preset ultrafast -x265-params log-level=none {YUV} -f hevc", SIZE),
    "a.m2v": (f"mpeg2video {YUV}", SIZE),
    "a.m4v": (f"mpeg4 {YUV}", SIZE),
    "a.obu": (f"libsvtav1 -preset 12 {YUV}", SIZE),
    "a.mjpeg": ("mjpeg -pix_fmt yuvj420p -f mjpeg", SIZE),
    "a.h263": (f"h263 {YUV} -f h263", CIF),
    "a.h261": (f"h261 {YUV} -f h261", CIF),
    "a.drc": ("vc2 -pix_fmt yuv422p -strict -1 -f dirac", SIZE),
    "a.dnxhd": ("dnxhd -profile:v dnxhr_lb -pix_fmt yuv422p -f dnxhd", (256, 144)),
    "a.266": ("libvvenc -qp 40 -preset faster -pix_fmt yuv420p10le -f vvc", SIZE),
    "a.roq": (f"roqvideo {YUV} -r 30 -f roq", SIZE),
    "a.cpk": ("cinepak -pix_fmt rgb24 -f film_cpk", SIZE),
}
SOUNDS = {
    "b.aiff": "pcm_s16be",
    "b.caf": "alac",
    "b.au": "pcm_mulaw",
    "b.voc": "pcm_u8",
    "b.w64": "pcm_s24le",
    "b.tta": "tta",
    "b.wv": "wavpack",
    "b.aac": "aac",
    "b.ac3": "ac3",
    "b.dts": "dca -strict -2 -ac 2",
    "b.thd": "truehd -strict -2",
    "b.mlp": "mlp -strict -2",
    "b.wma": "wmav2",
    "b.opus": "libopus",
    "b.amr": "libopencore_amrnb -ar 8000",
    "b.sox": "pcm_s32le",
    "b.sf": "pcm_s16le -f ircam",
    "b.rm": "real_144 -ar 8000",
    "b.adx": "adpcm_adx",
    "b.ast": "pcm_s16be_planar -f ast",
    "b.loas": "aac -f latm",
    "b.nut": "adpcm_swf -ar 22050",
    "b.wav": "adpcm_ms",
}
BOTH = {
    "c.wmv": (f"wmv2 {YUV}", "wmav2", SIZE),
    "c.mpg": (f"mpeg1video {YUV}", "mp2", SIZE),
    "c.vob": (f"mpeg2video {YUV}", "pcm_dvd", SIZE),
    "c.rm": (f"rv20 {YUV}", "ac3", CIF),
    "c.mxf": ("mpeg2video -pix_fmt yuv422p -g 1", "pcm_s16le", SIZE),
    "c.gxf": (f"mpeg2video {YUV} -r 25", "pcm_s16le", (720, 576)),
    "c.dv": (f"dvvideo {YUV}", "pcm_s16le -ac 2", (720, 576)),
    "c.wtv": (f"mpeg2video {YUV}", "mp2", SIZE),
    "c.3gp": (f"h263 {YUV}", "libopencore_amrnb -ar 8000", CIF),
    "c.ogv": (f"libtheora {YUV}", "flac", SIZE),
    "c.avi": (f"libxvid -bf 2 {YUV}", "libmp3lame", SIZE),
    "c.mov": ("qtrle -pix_fmt rgb24", "adpcm_ima_qt", SIZE),
}
HEADS = {
    "ape": b"MAC \x96\x0f\x00\x00\x34\x00\x00\x00\x18\x00\x00\x00",
    "mpc7": b"MP+\x07\x20\x00\x00\x00",
    "mpc8": b"MPCKSH\x0e",
    "tak": b"tBaK\x01\x00\x00\x00",
    "shn": b"ajkg\x02",
    "vqf": b"TWIN97012000\x00\x00\x00\x40COMM",
    "dsf": b"DSD \x1c\x00\x00\x00\x00\x00\x00\x00",
    "smk": b"SMK2\x40\x00\x00\x00\x30\x00\x00\x00",
    "bink": b"BIKi\x00\x10\x00\x00\x10\x00\x00\x00",
    "nsv": b"NSVf\x40\x00\x00\x00",
    "nuv": b"NuppelVideo\x00",
    "4xm": b"RIFF\x00\x10\x00\x004XMVLIST",
    "flic": b"\x00\x10\x00\x00\x12\xaf\x10\x00\x40\x01\xc8\x00\x08\x00\x03\x00",
    "vmd": b"\x2e\x03\x00\x00\x00\x00",
    "ea": b"SCHl\x20\x00\x00\x00PT\x00\x00",
    "psxstr": b"\x00" + b"\xff" * 10 + b"\x00" + bytes(4),
    "thp": b"THP\x00\x00\x01\x00\x00",
    "iff": b"FORM\x00\x00\x10\x008SVX",
    "cine": b"CI\x2c\x00\x00\x00\x01\x00",
    "rpl": b"ARMovie\x0a",
    "nist": b"NIST_1A\n   1024\n",
    "qcp": b"RIFF\x00\x10\x00\x00QLCMfmt ",
    "brstm": b"RSTM\xfe\xff\x01\x00",
    "xa": b"XAI\x00\x00\x10\x00\x00",
    "wve": b"ALawSoundFile**\x00",
    "vivo": b"\x00\x80Version:Vivo/1.0\r\n",
    "mlv": b"MLVI\x34\x00\x00\x00v2.0\x00",
    "ty": b"\xf5\x46\x7a\xbd\x00\x00\x00\x02",
    "dtshd": b"DTSHDHDR\x00\x00\x00\x00\x00\x00\x00\x10",
    "osq": b"OSQ \x2c\x00\x00\x00",
    "wavarc": b"0CPY\x00",
    "bonk": b"\x00BONK\x00",
    "hca": b"HCA\x00\x02\x00\x00\x60",
    "apac": b"APAC\x40\x00\x00\x00",
    "pva": b"AV\x01\x00\x55\x00",
    "vc1test": b"\x10\x00\x00\xc5\x04\x00\x00\x00",
    "idcin": b"\x40\x01\x00\x00\xc8\x00\x00\x00\x22\x56\x00\x00\x02\x00\x00\x00\x02\x00\x00\x00",
    "wsvqa": b"FORM\x00\x00\x10\x00WVQAVQHD",
    "smjpeg": b"\x00\x0aSMJPEG\x00\x00\x00\x00",
    "xwma": b"RIFF\x00\x10\x00\x00XWMAfmt ",
}
"""How files begin of which FFmpeg writes none; noise follows."""


def write_rare_seeds(folder: Path) -> Path:
    """Write a small recording of each of these containers."""
    folder.mkdir(exist_ok=True)
    for name, (video, size) in PICTURES.items():
        record(folder / name, seconds=0.6, size=size, video=("-c:v", *video.split()), audio=None)
    for name, audio in SOUNDS.items():
        rate = 8000 if "8000" in audio else 48_000
        record(folder / name, seconds=0.6, video=None, audio=("-c:a", *audio.split()), sound_rate=rate)
    for name, (video, audio, size) in BOTH.items():
        record(folder / name, seconds=0.6, size=size, video=("-c:v", *video.split()), audio=("-c:a", *audio.split()))
    chance = np.random.default_rng(3)
    for name, head in HEADS.items():
        (folder / f"d.{name}").write_bytes(head + chance.integers(0, 256, 4000, np.uint8).tobytes())
    return folder
