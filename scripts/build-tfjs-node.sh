#!/bin/sh
# Builds @tensorflow/tfjs-node(-gpu) 4.22.0 against a modern TensorFlow, where their own install cannot download theirs.
#
#     sh scripts/build-tfjs-node.sh FOLDER                # tensorflow-cpu from PyPI
#     NODE_PATH=FOLDER/node_modules masksearch sft … --backend tfjs-node
#
# FOLDER is outside the repository and takes 2 GB. Needs npm, pip, unzip and g++; the product needs none of it. With
# LIBTENSORFLOW=<folder that has include/ and libtensorflow_cc.so.2>, for instance one with CUDA, nothing is downloaded.
set -eu
folder=${1:?usage: build-tfjs-node.sh FOLDER}
version=4.22.0
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

if [ -z "${LIBTENSORFLOW:-}" ]; then
  LIBTENSORFLOW=$folder/wheel/tensorflow
  if [ ! -e "$LIBTENSORFLOW/libtensorflow_cc.so.2" ]; then
    pip download -q --no-deps tensorflow-cpu==2.21.0 -d "$folder/wheel"
    unzip -q -o "$folder"/wheel/tensorflow_cpu-*.whl 'tensorflow/include/*' 'tensorflow/libtensorflow*' -d "$folder/wheel"
    rm "$folder"/wheel/tensorflow_cpu-*.whl
  fi
fi

cd "$folder"
[ -e package.json ] || echo '{ "private": true }' > package.json
npm install --ignore-scripts --no-audit --no-fund "@tensorflow/tfjs-node@$version" "@tensorflow/tfjs-node-gpu@$version" node-api-headers@1.9.0
headers=$folder/node_modules/node-api-headers/include

for package in tfjs-node tfjs-node-gpu; do
  cd "$folder/node_modules/@tensorflow/$package"
  mkdir -p deps/lib lib/napi-v8
  ln -sfn "$LIBTENSORFLOW/include" deps/include
  for library in cc framework; do
    ln -sf "$LIBTENSORFLOW/libtensorflow_$library.so.2" deps/lib/
  done
  ln -sf libtensorflow_cc.so.2 deps/lib/libtensorflow.so
  ln -sf libtensorflow_framework.so.2 deps/lib/libtensorflow_framework.so
  g++ -std=c++17 -O2 -fPIC -shared -DNAPI_VERSION=8 -DNODE_GYP_MODULE_NAME=tfjs_binding -DBUILDING_NODE_EXTENSION \
    -I"$headers" -I. -I.. -Ideps/include binding/tfjs_backend.cc binding/tfjs_binding.cc \
    -o lib/napi-v8/tfjs_binding.node -Ldeps/lib -Wl,-rpath,'$ORIGIN/../../deps/lib' -ltensorflow -ltensorflow_framework
done
echo "NODE_PATH=$folder/node_modules"
