# The engine's model in PyTorch and transformers: same weights, batches and threads. Driven by bench/engine.ts.
# Usage: pip install torch transformers; python bench/peers/engine_torch.py <dump of engine_bench> <threads> cpu|wall
# Reads a command a line (train float32, train bfloat16-autocast, generate <float32|bfloat16> <batch>) and answers
# with a JSON line.
import json
import sys
import time

import numpy
import torch
import transformers

LENGTH, SEQUENCES = 512, 8
PROMPT, STEPS = 128, 128
# float32 sums of 256 to 2048 terms over 6 layers, in another order.
LOG_PROB_BOUND = 1e-4


def read_dump(path):
    with open(path, "rb") as file:
        header = json.loads(file.readline())
        values = numpy.frombuffer(file.read(), dtype=numpy.float32)
    tensors, at = {}, 0
    for parameter in header["parameters"]:
        count = int(numpy.prod(parameter["shape"]))
        tensors[parameter["name"]] = torch.tensor(values[at : at + count]).reshape(parameter["shape"])
        at += count
    n = header["tokens"]
    tokens = torch.tensor(values[at : at + n].view(numpy.int32).astype(numpy.int64))
    log_probs = torch.tensor(values[at + n : at + 2 * n])
    rows = header["sequences"]
    return header, tensors, tokens.reshape(rows, -1), log_probs.reshape(rows, -1)


def make_model(header, tensors):
    names = [
        "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
        "intermediate_size", "rms_norm_eps", "max_position_embeddings",
    ]  # fmt: skip
    config = transformers.Qwen2Config(
        **{name: header[name] for name in names},
        rope_parameters={"rope_type": "default", "rope_theta": float(header["rope_theta"])},
        tie_word_embeddings=True,
        attn_implementation="sdpa",
    )
    model = transformers.Qwen2ForCausalLM(config)
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    if set(missing) - {"lm_head.weight"} or unexpected:
        sys.exit(f"expected the engine's parameters, missing {missing}, unexpected {unexpected}")
    model.tie_weights()
    return model


def label_log_probs(model, tokens):
    logits = model(input_ids=tokens, use_cache=False).logits[:, :-1]
    return torch.log_softmax(logits.float(), -1).gather(-1, tokens[:, 1:, None])[..., 0]


class Peer:
    def __init__(self, dump, threads, clock):
        torch.set_num_threads(threads)
        self.threads, self.wall = threads, clock == "wall"
        self.header, self.tensors, tokens, log_probs = read_dump(dump)
        self.name = f"torch {torch.__version__}, transformers {transformers.__version__}"
        with torch.no_grad():
            error = (label_log_probs(make_model(self.header, self.tensors), tokens) - log_probs[:, 1:]).abs().max()
        if not error <= LOG_PROB_BOUND:
            sys.exit(f"expected log-probabilities within {LOG_PROB_BOUND} of the engine's, received {error}")

    def now(self):
        return time.perf_counter() if self.wall else time.process_time() / self.threads

    # Median rate of three runs after a warm-up, as units per second of the clock.
    def rate(self, units, body):
        body()
        times = []
        for _ in range(3):
            start = self.now()
            body()
            times.append(self.now() - start)
        return units / sorted(times)[1]

    def train(self, dtype):
        model = make_model(self.header, self.tensors)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6, betas=(0.9, 0.95), weight_decay=0, fused=True)
        tokens = torch.arange(LENGTH)[None] * 7919 + torch.arange(SEQUENCES)[:, None] * 104729
        tokens %= self.header["vocab_size"]

        def step():
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == "bfloat16-autocast"):
                logits = model(input_ids=tokens, use_cache=False).logits[:, :-1]
                loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), tokens[:, 1:].flatten())
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()

        return self.rate(LENGTH * SEQUENCES, step)

    def generate(self, dtype, batch):
        model = make_model(self.header, self.tensors).to(getattr(torch, dtype)).eval()
        prompt = torch.full((batch, PROMPT), 5)
        prompt[:, 0] = torch.arange(batch)
        options = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "pad_token_id": 0}

        def sample(steps):
            with torch.no_grad():
                model.generate(
                    prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=steps, min_new_tokens=steps,
                    **options,
                )  # fmt: skip

        # The prompt and the first token are timed apart: the engine's rate is that of the steps after them.
        first = 1 / self.rate(1, lambda: sample(1))
        return batch * STEPS / (1 / self.rate(1, lambda: sample(STEPS + 1)) - first)


def main(dump, threads, clock):
    peer = Peer(dump, int(threads), clock)
    for line in sys.stdin:
        command, dtype, *batch = line.split()
        measured = peer.train(dtype) if command == "train" else peer.generate(dtype, int(*batch))
        print(json.dumps({"name": f"{peer.name}, {line.strip()}", "measured": measured}), flush=True)


main(*sys.argv[1:])
