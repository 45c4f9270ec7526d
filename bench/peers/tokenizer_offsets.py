"""Ids and offsets of Hugging Face's own tokenizers library, as JSON lines, for bench/tokenizer-offsets.ts.

    pip install tokenizers==0.23.2
    python bench/peers/tokenizer_offsets.py TOKENIZER.json < TEXTS.jsonl > ENCODINGS.jsonl

Reads one JSON string per line; writes {"ids": [...], "starts": [...], "ends": [...]}, offsets in UTF-16 code units.
"""

import json
import sys

from tokenizers import Tokenizer


def utf16_positions(text):
    positions = [0]
    for character in text:
        positions.append(positions[-1] + (2 if ord(character) > 0xFFFF else 1))
    return positions


def main():
    tokenizer = Tokenizer.from_file(sys.argv[1])
    for line in sys.stdin:
        text = json.loads(line)
        encoding = tokenizer.encode(text, add_special_tokens=False)
        at = utf16_positions(text)
        row = {
            "ids": encoding.ids,
            "starts": [at[start] for start, _ in encoding.offsets],
            "ends": [at[end] for _, end in encoding.offsets],
        }
        print(json.dumps(row))


main()
