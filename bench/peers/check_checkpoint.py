# Loads what masksearch saved into transformers (and PEFT) unchanged and compares logits and token ids.
# Usage: pip install torch transformers==5.17.0 peft==0.21.0
#        python bench/peers/check_checkpoint.py <model folder> <scores.json> [--adapter FOLDER] [--dtype bfloat16]
# scores.json is ours: tokens, logProbs[t] = log p(tokens[t] | tokens before it) and the entropy there, 0 for the first; and
# after: log-probabilities of candidates of the whole vocabulary after the first promptTokens of them. With --dtype bfloat16 it was
# made by a model in bfloat16: it may be off by twice what a naive run of transformers in bfloat16 is off.
import argparse
import json
import math
import os

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer


def load(folder, adapter):
    model, info = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    unexpected = {key: sorted(value) for key, value in info.items() if value}
    assert not unexpected, f"expected every tensor to fit, received {unexpected}"
    if adapter is None:
        return model
    import peft

    return peft.PeftModel.from_pretrained(model, adapter)


def theirs(model, scores):
    """Log-probabilities of the tokens, entropies, log-probabilities of the candidates."""
    ids = torch.tensor([scores["tokens"]])
    with torch.no_grad():
        log_probs = torch.log_softmax(model(ids).logits[0].double(), dim=-1)
    after = scores["after"]
    return {
        "logProbs": log_probs[:-1].gather(1, ids[0, 1:, None])[:, 0],
        "entropies": -(log_probs.exp() * log_probs).sum(dim=-1)[:-1],
        "candidates": log_probs[after["promptTokens"] - 1, after["candidates"]],
    }


def ours(scores):
    values = {"logProbs": scores["logProbs"][1:], "entropies": scores["entropies"][1:],
              "candidates": scores["after"]["logProbs"]}
    return {name: torch.tensor(column, dtype=torch.float64) for name, column in values.items()}


def differences(a, b, measure):
    return {name: measure(a[name] - b[name]) for name in a}


def largest(values):
    return values.abs().max().item()


def root_mean_square(values):
    return values.square().mean().sqrt().item()


def float32_bound(config, tokens, nats):
    """Two float32 runs, each as far from the truth as packages/model/src/conformance/bounds.ts derives: half an epsilon for every
    square root of the roundings on the longest path from a token to a log-probability, times its size."""
    heads = config.num_attention_heads
    width = config.hidden_size
    head_width = getattr(config, "head_dim", None) or width // heads
    layer = 3 * width + head_width + tokens + heads * head_width + config.intermediate_size
    path = config.num_hidden_layers * layer + 2 * width + config.vocab_size
    return 2 * 0.5 * 2**-23 * math.sqrt(path) * nats


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("scores")
    parser.add_argument("--adapter")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--what", default="a checkpoint")
    options = parser.parse_args()
    with open(options.scores) as file:
        scores = json.load(file)
    model = load(options.folder, options.adapter)
    exact = theirs(model, scores)
    row = {
        "case": f"transformers loads {options.what}: {len(exact['logProbs'])} tokens, {len(exact['candidates'])} candidates",
        "range": [exact["logProbs"].min().item(), exact["logProbs"].max().item()],
        "peer": f"transformers {transformers.__version__}",
        "parameters": sum(p.numel() for p in model.parameters()),
        "architecture": type(model).__name__,
        "command": "python bench/peers/check_checkpoint.py",
    }
    if options.dtype == "float32":
        errors = differences(ours(scores), exact, largest)
        nats = max(-values.min().item() for values in (exact["logProbs"], exact["candidates"]))
        bound = float32_bound(model.config, len(scores["tokens"]), nats)
        bounds = {name: bound for name in errors}
        unit, bound_is = "nats, largest difference", "what float32 may be off on both sides"
    else:
        errors = differences(ours(scores), exact, root_mean_square)
        naive = differences(theirs(model.to(torch.bfloat16), scores), exact, root_mean_square)
        bounds = {name: 2 * error for name, error in naive.items()}
        unit, bound_is = "nats, root mean square", "twice that of transformers in bfloat16"
    worst = max(errors, key=lambda name: errors[name] / bounds[name])
    row |= {"unit": unit, "measured": errors[worst], "bound": bounds[worst], "boundIs": bound_is,
            **{name: {"error": errors[name], "bound": bounds[name]} for name in errors}}
    print(json.dumps(row))
    assert errors[worst] <= bounds[worst], f"expected {worst} within {bounds[worst]}, received {errors[worst]}"
    if os.path.exists(f"{options.folder}/tokenizer.json"):
        check_tokens(options.folder, scores["tokens"])


def check_tokens(folder, tokens):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    again = tokenizer(tokenizer.decode(tokens), add_special_tokens=False)["input_ids"]
    assert again == tokens, "expected the folder's tokenizer to give our ids"


main()
