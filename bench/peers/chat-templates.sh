#!/bin/sh
# Puts the original chat templates of Qwen2.5, Qwen3 and Llama 3.2, as TRL ships them, into a folder outside the repository.
#
#     sh bench/peers/chat-templates.sh FOLDER
#     MASKSEARCH_TEMPLATES=FOLDER/trl/chat_templates pnpm test
#
# The tests of packages/tokenizer and packages/agent use them where MASKSEARCH_TEMPLATES names that folder.
set -eu
folder=${1:?usage: chat-templates.sh FOLDER}
mkdir -p "$folder"
pip download -q --no-deps trl==1.13.0 -d "$folder"
unzip -q -o "$folder"/trl-1.13.0-*.whl 'trl/chat_templates/*' -d "$folder"
echo "MASKSEARCH_TEMPLATES=$folder/trl/chat_templates"
