"""python generate_bfloat16.py: FAMILY/bfloat16.json, how far a run of transformers in bfloat16 is from the float64 cases.

A naive run: the model is moved to bfloat16 whole by `model.to(torch.bfloat16)`, and its logits are widened. Errors are root
mean squares (log-probabilities, entropies, all tokens of all sequences), absolute (loss), and Euclidean norms
(gradients). Run it in this folder.
"""

import os
from types import SimpleNamespace

import torch
from golden_common import entropies, loss_and_gradients, masked_loss, next_token_logprobs, read_json, versions, write_json
from safetensors.torch import load_file

import transformers

torch.set_num_threads(1)
HERE = os.path.dirname(os.path.abspath(__file__))


def naive_model(folder):
    config = transformers.AutoConfig.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager", dtype=torch.float32)
    missing, unexpected = model.load_state_dict(load_file(os.path.join(folder, "model.safetensors")), strict=False)
    assert not unexpected and missing in ([], ["lm_head.weight"])
    model.tie_weights()
    return model.to(torch.bfloat16).eval()


def root_mean_square(parts):
    values = torch.cat([part.flatten().double() for part in parts])
    return values.square().mean().sqrt().item()


def errors(folder):
    model = naive_model(folder)
    cases = read_json(os.path.join(folder, "cases.json"))
    stored = load_file(os.path.join(folder, "cases.safetensors"))
    log_probs, spreads = [], []
    for i, sequence in enumerate(cases["sequences"]):
        ids = sequence["ids"]
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].double()
        spreads.append(entropies(logits) - stored[f"sequence.{i}.entropy"])
        if len(ids) > 1:
            log_probs.append(next_token_logprobs(logits, ids) - stored[f"sequence.{i}.logprobs"])

    def loss_of(naive):
        widened = lambda **inputs: SimpleNamespace(logits=naive(**inputs).logits.float())
        return masked_loss(widened, cases["sequences"])

    loss, gradients = loss_and_gradients(model, loss_of)
    return {
        "versions": versions(),
        "logProbs": root_mean_square(log_probs),
        "entropies": root_mean_square(spreads),
        "loss": abs(loss - cases["loss"]["float64"]),
        "gradients": {
            name: (gradient.double() - stored[f"grad.{name}"].double()).norm().item()
            for name, gradient in sorted(gradients.items())
        },
    }


def main():
    for family in ("tiny-qwen2", "tiny-qwen3", "tiny-llama3"):
        folder = os.path.join(HERE, family)
        write_json(os.path.join(folder, "bfloat16.json"), errors(folder))


if __name__ == "__main__":
    main()
