"""python generate_bfloat16.py: FAMILY/bfloat16.json, how far a run of transformers in bfloat16 is from the float64 cases.

A naive run: the model, with PEFT's adapter where there is one, is moved to bfloat16 whole by `model.to(torch.bfloat16)`, its logits are
widened, and AdamW works on the bfloat16 weights. Errors are root mean squares (log-probabilities, entropies, losses and norms of
gradients of a trajectory), absolute (loss), and Euclidean norms by parameter (gradients, weights). Run it in this folder.
"""

import os
from types import SimpleNamespace

import peft
import torch
from golden_common import (
    adamw_trajectory,
    entropies,
    greedy,
    loss_and_gradients,
    masked_loss,
    next_token_logprobs,
    read_json,
    run_logits,
    versions,
    write_json,
)
from safetensors.torch import load_file

import transformers

torch.set_num_threads(1)
HERE = os.path.dirname(os.path.abspath(__file__))


class Naive(torch.nn.Module):
    """A model in bfloat16 whose logits come out as float32."""

    def __init__(self, model):
        super().__init__()
        self.model = model.to(torch.bfloat16).eval()

    def forward(self, **inputs):
        return SimpleNamespace(logits=self.model(**inputs).logits.float())


def load(folder):
    config = transformers.AutoConfig.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager", dtype=torch.float32)
    missing, unexpected = model.load_state_dict(load_file(os.path.join(folder, "model.safetensors")), strict=False)
    assert not unexpected and missing in ([], ["lm_head.weight"])
    model.tie_weights()
    return model


def root_mean_square(parts):
    values = torch.cat([torch.as_tensor(part).flatten().double() for part in parts])
    return values.square().mean().sqrt().item()


def plain(name):
    """A parameter's name as golden files and adapter files have it."""
    return name.removeprefix("model.").replace(".default.weight", ".weight")


def distances(values, stored, prefix=""):
    return {
        name: (value.double() - stored[f"{prefix}{name}"].double()).norm().item()
        for name, value in sorted((plain(name), value) for name, value in values.items())
    }


def scores_and_gradients(naive, sequences, exact_loss, stored):
    """Errors of all tokens' log-probabilities and entropies, of the loss and of every gradient."""
    log_probs, spreads = [], []
    for i, sequence in enumerate(sequences):
        ids = sequence["ids"]
        with torch.no_grad():
            logits = run_logits(naive, ids).double()
        spreads.append(entropies(logits) - stored[f"sequence.{i}.entropy"])
        if len(ids) > 1:
            log_probs.append(next_token_logprobs(logits, ids) - stored[f"sequence.{i}.logprobs"])
    loss, gradients = loss_and_gradients(naive, lambda model: masked_loss(model, sequences))
    return {
        "logProbs": root_mean_square(log_probs),
        "entropies": root_mean_square(spreads),
        "loss": abs(loss - exact_loss),
        "gradients": distances(gradients, stored, "grad."),
    }


def vocabulary(naive, ids, stored):
    """Error of the log-probabilities of all tokens after the second sequence."""
    with torch.no_grad():
        logits = run_logits(naive, ids)[-1].double()
    exact = torch.log_softmax(stored["sequence.1.logits"][-1].double(), -1)
    return root_mean_square([torch.log_softmax(logits, -1) - exact])


def generation(naive, cases):
    """Error of the float64 run's greedy tokens' log-probabilities, and how many of them a greedy run of this model begins with."""
    errors, agreeing = [], []
    for case in cases:
        prompt, tokens = case["prompt"], case["tokens"]
        with torch.no_grad():
            logits = run_logits(naive, prompt + tokens).double()
        log_probs = next_token_logprobs(logits, prompt + tokens)[len(prompt) - 1 :]
        errors.append(log_probs - torch.tensor(case["logprobs"]))
        own, _ = greedy(naive.model, prompt, len(tokens))
        agreeing.append(next((i for i, (a, b) in enumerate(zip(own, tokens)) if a != b), len(tokens)))
    return {"logProbs": root_mean_square(errors), "agreeingTokens": agreeing}


def trajectory(naive, folder, sequences):
    """Errors along AdamW's steps, and of every weight after the last."""
    exact = read_json(os.path.join(folder, "adamw.json"))
    steps, last = adamw_trajectory(naive, sequences, exact["optimizer"])
    pairs = list(zip(steps, exact["steps"]))
    losses = [a["loss"] - b["loss"] for a, b in pairs] + [last - exact["lossAfterLastStep"]]
    stored = load_file(os.path.join(folder, "adamw.safetensors"))
    return {
        "loss": root_mean_square(losses),
        "gradientNorm": root_mean_square([a["gradientNorm"] - b["gradientNorm"] for a, b in pairs]),
        "weights": distances({n: p.detach() for n, p in naive.named_parameters()}, stored),
    }


def adapted(folder):
    model = peft.PeftModel.from_pretrained(load(folder), os.path.join(folder, "lora"), is_trainable=True)
    return Naive(model)


def errors(folder):
    cases = read_json(os.path.join(folder, "cases.json"))
    stored = load_file(os.path.join(folder, "cases.safetensors"))
    sequences = cases["sequences"]
    naive = Naive(load(folder))
    record = {
        "versions": versions(peft),
        **scores_and_gradients(naive, sequences, cases["loss"]["float64"], stored),
        "vocabulary": vocabulary(naive, sequences[1]["ids"], stored),
        "generation": generation(naive, cases["generation"]),
    }
    lora = os.path.join(folder, "lora")
    if os.path.exists(lora):
        exact_loss = read_json(os.path.join(lora, "cases.json"))["loss"]["float64"]
        adapter_cases = load_file(os.path.join(lora, "cases.safetensors"))
        record["adapter"] = scores_and_gradients(adapted(folder), sequences, exact_loss, adapter_cases)
    if os.path.exists(os.path.join(folder, "adamw.json")):
        record["adamW"] = trajectory(Naive(load(folder)), folder, sequences)
    return record


def main():
    for family in ("tiny-qwen2", "tiny-qwen3", "tiny-llama3"):
        folder = os.path.join(HERE, family)
        write_json(os.path.join(folder, "bfloat16.json"), errors(folder))


if __name__ == "__main__":
    main()
