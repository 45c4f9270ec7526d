# Loads what masksearch saved into transformers (and PEFT) unchanged and compares log-probabilities and token ids.
# Usage: pip install torch transformers==5.17.0 peft==0.21.0
#        python bench/peers/check_checkpoint.py <model folder> <scores.json> [<adapter folder>]
# scores.json: {"tokens": [...], "logProbs": [...]} by us, logProbs[t] = log p(tokens[t] | tokens before it), 0 for the first.
import json
import os
import sys

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

# float32 on both sides: sums of up to 4864 terms through 24 layers, in another order.
BOUND = 2e-3


def main(folder, scores_path, adapter=None):
    model, info = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    unexpected = {key: sorted(value) for key, value in info.items() if value}
    assert not unexpected, f"expected every tensor to fit, received {unexpected}"
    if adapter is not None:
        import peft

        model = peft.PeftModel.from_pretrained(model, adapter)
    with open(scores_path) as file:
        scores = json.load(file)
    ids = torch.tensor([scores["tokens"]])
    with torch.no_grad():
        log_probs = torch.log_softmax(model(ids).logits[0].double(), dim=-1)
    theirs = log_probs[:-1].gather(1, ids[0, 1:, None])[:, 0]
    ours = torch.tensor(scores["logProbs"][1:], dtype=torch.float64)
    error = (theirs - ours).abs().max().item()
    row = {
        "case": f"transformers loads {'an adapter' if adapter else 'a checkpoint'}: log-probabilities of {len(ours)} tokens",
        "unit": "nats, largest difference",
        "measured": error,
        "range": [theirs.min().item(), theirs.max().item()],
        "peer": f"transformers {transformers.__version__}",
        "parameters": sum(p.numel() for p in model.parameters()),
        "architecture": type(model).__name__,
    }
    print(json.dumps(row))
    assert error < BOUND, f"expected log-probabilities within {BOUND}, received {error}"
    if not os.path.exists(f"{folder}/tokenizer.json"):
        return
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = tokenizer.decode(scores["tokens"])
    again = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert again == scores["tokens"], "expected the folder's tokenizer to give our ids"


main(*sys.argv[1:])
