// The special tokens with which a chat model ends its turn, as its folder names them.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, parseRecord, readJsonFile } from '@masksearch/core';
import type { Tokenizer } from '@masksearch/tokenizer';
import { z } from 'zod';

const fileSchema = z.looseObject({
  eos_token_id: z.union([z.int(), z.array(z.int())]).nullish(),
  eos_token: z.union([z.string(), z.looseObject({ content: z.string() })]).nullish(),
});

/** In the order in which they are trusted; all that they name count. */
const FILES = ['generation_config.json', 'config.json', 'tokenizer_config.json'];

/**
 * @throws {InputError} a file is malformed.
 * @throws {ConfigError} none is named, so turns would never end.
 */
export function endTokensOf(folder: string, tokenizer: Tokenizer): string[] {
  const named = new Set<string>();
  for (const file of FILES) {
    const path = join(folder, file);
    if (!existsSync(path)) continue;
    const { eos_token_id: ids, eos_token: token } = parseRecord(
      fileSchema,
      readJsonFile(path),
      path,
    );
    for (const id of [ids ?? []].flat()) {
      if (id < tokenizer.vocabularySize) named.add(tokenizer.decode([id]));
    }
    if (token !== null && token !== undefined) {
      named.add(typeof token === 'string' ? token : token.content);
    }
  }
  const known = [...named].filter((token) => tokenizer.specialTokens.includes(token));
  if (known.length > 0) return known;
  throw new ConfigError(
    `${folder}: expected eos_token_id or eos_token to name a special token, found none; a chat model needs one to end its turns.`,
  );
}
