# Reads a GGUF file of ours with the independent reader of llama.cpp's project and compares it with the folder it came from.
# Usage: pip install gguf==0.19.0 safetensors numpy torch; python bench/peers/check_gguf.py <model folder> <file.gguf>
import glob
import json
import sys

import gguf
import numpy as np
import torch
from gguf.quants import dequantize, quantize
from safetensors.torch import load_file


def expected_weights(folder):
    weights = {}
    for path in sorted(glob.glob(f"{folder}/model*.safetensors")):
        for name, tensor in load_file(path).items():
            weights[name] = tensor.to(torch.float32).numpy()
    return weights


def permute(weight, heads):
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def main(folder, path):
    with open(f"{folder}/config.json") as file:
        config = json.load(file)
    reader = gguf.GGUFReader(path)
    field = lambda key: reader.get_field(key).contents()
    architecture = field("general.architecture")
    assert architecture == config["model_type"], architecture
    assert field(f"{architecture}.block_count") == config["num_hidden_layers"]
    assert field(f"{architecture}.attention.head_count_kv") == config["num_key_value_heads"]
    names = gguf.get_tensor_name_map(
        next(arch for arch, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture),
        config["num_hidden_layers"])
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    compared = 0
    for name, weight in expected_weights(folder).items():
        if name == "lm_head.weight" and config["tie_word_embeddings"]:
            continue
        tensor = tensors.pop(names.get_name(name, try_suffixes=(".weight", ".bias")))
        if architecture == "llama" and name.endswith(("q_proj.weight", "k_proj.weight")):
            heads = "num_attention_heads" if "q_proj" in name else "num_key_value_heads"
            weight = permute(weight, config[heads])
        if tensor.tensor_type in (gguf.GGMLQuantizationType.F32, gguf.GGMLQuantizationType.F16):
            same = np.array_equal(tensor.data.reshape(weight.shape), weight.astype(tensor.data.dtype))
        else:
            stored = quantize(weight, tensor.tensor_type)
            same = np.array_equal(stored.reshape(tensor.data.shape), tensor.data)
            largest = np.abs(dequantize(tensor.data, tensor.tensor_type) - weight).max()
            assert largest <= np.abs(weight).max() / 127, f"{name}: off by {largest}"
        assert same, f"expected {name} as gguf-py stores it"
        compared += 1
    extra = sorted(tensors)
    assert extra in ([], ["rope_freqs.weight"]), extra
    row = {"case": f"gguf-py reads {architecture}", "unit": "tensors equal bit for bit", "measured": compared,
           "extra": extra, "peer": f"gguf {__import__('importlib.metadata').metadata.version('gguf')}"}
    if reader.get_field("tokenizer.ggml.model") is not None:
        tokens = field("tokenizer.ggml.tokens")
        with open(f"{folder}/tokenizer.json") as file:
            tokenizer = json.load(file)
        assert len(tokens) == config["vocab_size"]
        assert all(tokens[i] == token for token, i in tokenizer["model"]["vocab"].items())
        assert all(tokens[t["id"]] == t["content"] for t in tokenizer["added_tokens"])
        row |= {"tokens": len(tokens), "pre": field("tokenizer.ggml.pre"),
                "merges": len(field("tokenizer.ggml.merges"))}
    print(json.dumps(row))


main(*sys.argv[1:])
