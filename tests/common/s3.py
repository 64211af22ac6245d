"""A server that speaks S3 (moto), with a bucket.

Environment: ONEFILL_S3 (virtual environment with moto's server).
"""

import contextlib
import os
import pathlib
import subprocess

from loopback import Program, free_ports

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
BUCKET = "onefill"


@contextlib.contextmanager
def serving():
    """Its address."""
    bin = pathlib.Path(os.environ["ONEFILL_S3"], "bin")
    (port,) = free_ports(1)
    address = f"http://127.0.0.1:{port}"
    with Program("s3", [bin / "moto_server", "-H", "127.0.0.1", "-p", port]) as server:
        server.answers(f"{address}/moto-api/", 60)
        client = f"boto3.client('s3', endpoint_url='{address}', region_name='us-east-1')"
        make = f"import boto3; {client}.create_bucket(Bucket='{BUCKET}')"
        subprocess.run([bin / "python", "-c", make], check=True, env={**os.environ, **CREDENTIALS})
        yield address
