"""The peer of bench/gpu.sh: Hugging Face transformers on the same shape, batch and GPU.

Training with its defaults and with its best settings (cuDNN attention, fused AdamW, compile is left
out: it takes longer than the bench may), and `generate` with a static number of tokens. Prints rows
like the bench's: {"case", "floor", "measured", "ratio", "unit"}, floor and ratio null.
"""

import argparse
import json
import time

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import Qwen2Config, Qwen2ForCausalLM

SHAPES = {
    "1.5b": dict(hidden_size=1536, num_hidden_layers=28, num_attention_heads=12,
                 num_key_value_heads=2, intermediate_size=8960),
    "0.5b": dict(hidden_size=896, num_hidden_layers=24, num_attention_heads=14,
                 num_key_value_heads=2, intermediate_size=4864),
}
RUNS = 4


def row(case, measured, unit="tokens/s"):
    print(json.dumps({"case": case, "floor": None, "measured": measured, "ratio": None,
                      "unit": unit}), flush=True)


def make_model(name):
    config = Qwen2Config(vocab_size=151936, max_position_embeddings=32768, rope_theta=1e6,
                         tie_word_embeddings=True, attn_implementation="sdpa", **SHAPES[name])
    torch.manual_seed(1)
    with torch.device("cuda"):
        return Qwen2ForCausalLM(config).to(torch.bfloat16)


def train_rate(model, rows, length, fused, attention):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6, weight_decay=0.1, fused=fused)
    tokens = torch.randint(0, 151936, (rows, length), device="cuda")

    def step():
        with sdpa_kernel(attention):
            model(input_ids=tokens, labels=tokens, use_cache=False).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    step()
    torch.cuda.synchronize()
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        step()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return rows * length / sorted(times)[len(times) // 2]


# The whole batch where it fits, else the largest half that does.
def train(model, name, rows, length):
    settings = {
        "transformers defaults": (False, [SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION,
                                          SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]),
        "transformers best": (True, [SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION]),
    }
    for label, (fused, attention) in settings.items():
        size = rows
        while size >= 1:
            try:
                rate = train_rate(model, size, length, fused, attention)
                note = "" if size == rows else f" (batch {size})"
                row(f"train {name} {rows}x{length} {label}{note}", rate)
                break
            except torch.cuda.OutOfMemoryError:
                torch.cuda.empty_cache()
                size //= 2


def decode(model, name, batch, context=1024, count=64):
    prompt = torch.randint(0, 151936, (batch, context), device="cuda")
    options = dict(do_sample=True, temperature=1.0, top_p=1.0, top_k=0, pad_token_id=0,
                   eos_token_id=None, attention_mask=torch.ones_like(prompt))

    def seconds(tokens):
        torch.cuda.synchronize()
        start = time.perf_counter()
        model.generate(prompt, max_new_tokens=tokens, min_new_tokens=tokens, **options)
        torch.cuda.synchronize()
        return time.perf_counter() - start

    seconds(4)
    # Reading the prompt is in both, so the difference is decoding alone.
    row(f"decode {name} B {batch} transformers generate",
        batch * count / (seconds(count + 8) - seconds(8)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", choices=SHAPES, default="1.5b")
    name = parser.parse_args().model
    model = make_model(name)
    model.train()
    train(model, name, 16, 1024)
    train(model, name, 4, 4096)
    model.eval()
    with torch.no_grad():
        for batch in (1, 64):
            decode(model, name, batch)


if __name__ == "__main__":
    main()
