"""A clip's way to its end, as a client of `snuggles realtime` is told of it."""

import signal
from pathlib import Path

import httpx
from support.api.listener import Listener
from support.servers.fleet import Fleet, add_ready_recording, add_user, make_media, wait_for
from support.sockets.house import serves

from cli.embedded.port import free_port
from db.connection import SERVICE, Database
from services.accounts.token import Tokens
from services.billing import tier as tiers
from services.clips import service as clips
from services.clips.service import ClipStyle
from services.process.settings import Settings
from storage.factory import Buckets


def test_client_follows_his_clip_and_a_stopped_process_lets_him_go(
    settings: Settings, database: Database, buckets: Buckets, tmp_path: Path
) -> None:
    owner, port = add_user(database, tier="pro"), free_port()
    media = make_media(tmp_path / "talk.mp4")
    recording_id = add_ready_recording(database, buckets.recordings, owner, media, duration_s=30)
    url = f"http://127.0.0.1:{port}"
    with Fleet(settings, tmp_path) as fleet:
        realtime = fleet.realtime(port=port)
        wait_for(lambda: serves(url), what="realtime")
        assert httpx.get(f"{url}/api/me").status_code == 404  # it is not the API
        with Listener(url, Tokens(settings.jwt_secret).issue(owner).token) as listener:
            listener.hear("room:authenticated")
            with database.transaction(SERVICE) as tx:
                tier = tiers.tier_of(tx, user_id=owner)
                # VP9 takes seconds: what ends within half a second has no progress to tell of.
                style = ClipStyle(accuracy="encode", formats=["webm"])
                clip, _ = clips.create(
                    tx, user_id=owner, tier=tier, recording_id=recording_id, start_s=2, end_s=27, style=style
                )
            fleet.dispatcher()
            fleet.worker()
            assert listener.hear("clip:progress")["clipId"] == str(clip.id)
            assert listener.hear("clip:completed")["data"]["clip"]["status"] == "completed"
            realtime.send_signal(signal.SIGTERM)
            listener.hear("gone")
        assert realtime.wait(20) == 0, fleet.log_of(realtime)
