"""Opens the storage that the settings describe."""

from pathlib import Path

from db.connection import forbid_in_transaction
from services.process.settings import Settings
from storage.factory import Buckets, guarded, open_buckets


def open_from(settings: Settings, *, create_buckets: bool = False) -> Buckets:
    """Return the two buckets, without a request to S3 unless `create_buckets`. StorageError for a bad endpoint."""
    buckets = open_buckets(
        s3_endpoint=settings.s3_endpoint,
        s3_public_endpoint=settings.s3_public_endpoint,
        s3_region=settings.s3_region,
        s3_access_key=settings.s3_access_key or "",
        s3_secret_key=settings.s3_secret_key or "",
        recordings_bucket=settings.s3_bucket_recordings,
        clips_bucket=settings.s3_bucket_clips,
        local_root=settings.storage_dir or Path(),
        base_url=settings.public_url,
        secret=settings.jwt_secret.encode(),
        reserve_bytes=settings.disk_reserve_bytes,
        create_buckets=create_buckets,
    )
    return guarded(buckets, forbid_in_transaction)
