"""The peer of bench/gpu.sh: Hugging Face transformers on the same shape, batch and GPU.

Training with its defaults, with its best settings without compilation (cuDNN's attention first, fused
AdamW) and, last, with these and compiled layers; and `generate` with a static number of tokens. A part
that fails is named on stderr and leaves the others. Prints rows like the bench's: {"case", "floor",
"measured", "ratio", "unit"}, floor and ratio null. `--device cpu --model tiny` tries the script itself.
"""

import argparse
import json
import sys
import time

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import Qwen2Config, Qwen2ForCausalLM

SHAPES = {
    "1.5b": dict(hidden_size=1536, num_hidden_layers=28, num_attention_heads=12,
                 num_key_value_heads=2, intermediate_size=8960),
    "0.5b": dict(hidden_size=896, num_hidden_layers=24, num_attention_heads=14,
                 num_key_value_heads=2, intermediate_size=4864),
    "tiny": dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=2,
                 num_key_value_heads=1, intermediate_size=96),
}
VOCABULARY = 151936
RUNS = 4
DEFAULTS = [SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION, SDPBackend.EFFICIENT_ATTENTION,
            SDPBackend.MATH]
# In this order: torch itself would take flash attention, which is slower on Hopper.
BEST = [SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION,
        SDPBackend.MATH]


def wait(model):
    if model.device.type == "cuda":
        torch.cuda.synchronize()


def attention(backends):
    return sdpa_kernel(backends, set_priority=backends is BEST)


def row(case, measured, unit="tokens/s"):
    print(json.dumps({"case": case, "floor": None, "measured": measured, "ratio": None,
                      "unit": unit}), flush=True)


def make_model(name, device):
    config = Qwen2Config(vocab_size=VOCABULARY, max_position_embeddings=32768, rope_theta=1e6,
                         tie_word_embeddings=True, attn_implementation="sdpa", **SHAPES[name])
    torch.manual_seed(1)
    with torch.device(device):
        return Qwen2ForCausalLM(config).to(torch.bfloat16)


def train_rate(model, rows, length, backends):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6, weight_decay=0.1,
                                  fused=backends is BEST)
    tokens = torch.randint(0, VOCABULARY, (rows, length), device=model.device)

    def step():
        with attention(backends):
            model(input_ids=tokens, labels=tokens, use_cache=False).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    for _ in range(2):
        step()
    wait(model)
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        step()
        wait(model)
        times.append(time.perf_counter() - start)
    return rows * length / sorted(times)[len(times) // 2]


# The whole batch where it fits, else the largest half that does.
def train(model, name, rows, length, label, backends):
    size = rows
    while size >= 1:
        try:
            rate = train_rate(model, size, length, backends)
        except torch.OutOfMemoryError:
            model.zero_grad()
            torch.cuda.empty_cache()
            size //= 2
            continue
        note = "" if size == rows else f" (batch {size})"
        return row(f"train {name} {rows}x{length} transformers {label}{note}", rate)
    raise RuntimeError("not even one row fits")


@torch.no_grad()
def decode(model, name, batch, context, count):
    prompt = torch.randint(0, VOCABULARY, (batch, context), device=model.device)
    options = dict(do_sample=True, temperature=1.0, top_p=1.0, top_k=0, pad_token_id=0,
                   eos_token_id=None, attention_mask=torch.ones_like(prompt))

    def seconds(tokens):
        wait(model)
        start = time.perf_counter()
        made = model.generate(prompt, max_new_tokens=tokens, min_new_tokens=tokens, **options)
        wait(model)
        assert made.shape == (batch, context + tokens), made.shape
        return time.perf_counter() - start

    seconds(4)
    # Reading the prompt is in both, so the difference is decoding alone.
    row(f"decode {name} B {batch} transformers generate",
        batch * count / (seconds(count + 8) - seconds(8)))


def part(what, work, *arguments):
    try:
        work(*arguments)
    except Exception as error:
        print(f"{what}: {type(error).__name__}: {str(error)[:500]}", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", choices=SHAPES, default="1.5b")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    arguments = parser.parse_args()
    name = arguments.model
    batches = [(2, 32), (1, 64)] if name == "tiny" else [(16, 1024), (4, 4096)]
    context, count = (16, 8) if name == "tiny" else (1024, 64)
    model = make_model(name, arguments.device)
    model.train()
    for rows, length in batches:
        for label, backends in (("defaults", DEFAULTS), ("best", BEST)):
            part(f"train {label}", train, model, name, rows, length, label, backends)
    model.zero_grad()
    model.eval()
    for batch in (1, 64):
        part(f"decode B {batch}", decode, model, name, batch, context, count)
    model.train()
    for layer in model.model.layers:
        layer.compile()
    for rows, length in batches:
        part("train compiled", train, model, name, rows, length, "compiled", BEST)


if __name__ == "__main__":
    main()
