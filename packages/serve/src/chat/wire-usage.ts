// Tokens read and written, as OpenAI's API tells them.
export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
}

export function wireUsage({ promptTokens, completionTokens }: Usage): object {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  };
}
