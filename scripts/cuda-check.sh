#!/usr/bin/env bash
# Whether the `cuda` feature compiles and links on a machine without a card: with a toolkit from Python wheels (0.75 GB)
# and a stand-in for the driver, both under target/cuda-toolkit. About ten minutes on two cores from cold. The program that
# comes out starts, and `scorebench doctor` says that no device answers.
#
# On a machine with CUDA installed nothing of this is needed: cargo build --release --features cuda.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD/target/cuda-toolkit
venv=$root/venv
if [ ! -x "$venv/bin/python" ]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --no-deps \
    nvidia-cuda-nvcc==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-cuda-runtime==13.0.96 \
    nvidia-cuda-cccl==13.0.85 nvidia-cuda-nvrtc==13.0.88 nvidia-curand==10.4.0.35 nvidia-cublas==13.0.2.14
fi
wheels=$(echo "$venv"/lib/python3*/site-packages/nvidia/cu13)

# The layout that build scripts expect: bin, include, nvvm, and lib64 with names without versions.
mkdir -p "$root/lib64/stubs"
for part in bin include nvvm; do ln -sfn "$wheels/$part" "$root/$part"; done
for library in "$wheels"/lib/*.so.*; do
  name=$(basename "$library")
  ln -sfn "$library" "$root/lib64/$name"
  ln -sfn "$library" "$root/lib64/${name%%.so.*}.so"
done
for library in "$wheels"/lib/*.a; do [ -e "$library" ] && ln -sfn "$library" "$root/lib64/"; done

# A driver that answers every question with an error: enough to link and to start.
if [ ! -e "$root/lib64/stubs/libcuda.so.1" ]; then
  cc -shared -fPIC -Wl,-soname,libcuda.so.1 -o "$root/lib64/stubs/libcuda.so.1" scripts/libcuda_stub.c
  ln -sfn libcuda.so.1 "$root/lib64/stubs/libcuda.so"
fi

export CUDA_HOME=$root CUDA_PATH=$root PATH=$root/bin:$PATH
export CUDA_COMPUTE_CAP=${CUDA_COMPUTE_CAP:-90} CUDARC_CUDA_VERSION=13000
export LIBRARY_PATH=$root/lib64:$root/lib64/stubs
export LD_LIBRARY_PATH=$root/lib64:$root/lib64/stubs
cargo build --release --features cuda
# Its tests for cards compile and link too; they need one to run.
cargo test --release --features cuda --test cuda --no-run
./target/release/scorebench doctor
