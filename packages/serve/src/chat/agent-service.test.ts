// The agent as a served model, driven by an unmodified `openai` client.
import { renderAnswerTurn, resolveEpisodeConfig, createChatCodec } from '@masksearch/agent';
import { ChatTemplate, trainBpe } from '@masksearch/tokenizer';
import { describe, expect, it } from 'vitest';
import { protocolTokenizer as tokenizer, ScriptedModel } from '../../test/scripted-model.ts';
import {
  connect,
  saying,
  user,
  refusal,
  searchTool,
  SEARCH_TURN,
  ANSWER_TURN,
  INFORMATION,
  riga,
} from '../../test/served.ts';

describe('the agent', () => {
  const agent = { search: riga, episode: resolveEpisodeConfig({}) };
  const question = { model: 'tiny-agent', messages: [user('What is the capital of Latvia?')] };
  const steps = [SEARCH_TURN, `<information> ${INFORMATION}</information>`, ANSWER_TURN];

  it('answers with the whole search loop and shows its steps', async () => {
    const client = await connect({ model: saying(SEARCH_TURN, ANSWER_TURN), agent });
    expect((await client.models.list()).data.map(({ id }) => id)).toEqual(['tiny', 'tiny-agent']);
    const answer = await client.chat.completions.create(question);
    expect(answer).toMatchObject({
      choices: [
        {
          finish_reason: 'stop',
          message: { content: 'Riga', reasoning_content: steps.join('\n') },
        },
      ],
      masksearch: {
        finishReason: 'answer',
        answer: ['Riga'],
        searches: [{ query: 'capital of Latvia', provider: 'fixed', results: [{ id: 'p' }] }],
      },
    });
  });

  it('is talked to in the chat template that its model was trained in', async () => {
    const source =
      "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}{% endfor %}" +
      "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
    const chatTokenizer = trainBpe([INFORMATION, SEARCH_TURN, ANSWER_TURN], {
      vocabularySize: 340,
      specialTokens: ['<|im_start|>', '<|im_end|>'],
    });
    const template = new ChatTemplate(source);
    const chat = createChatCodec({
      tokenizer: chatTokenizer,
      template,
      toolCalls: 'tags',
      answerForm: 'slots',
    });
    const model = new ScriptedModel(
      [SEARCH_TURN, ANSWER_TURN].map((turn) => [...chat.encodeTurn(turn)]),
    );
    const client = await connect({
      model,
      tokenizer: chatTokenizer,
      template: { template, endTokens: ['<|im_end|>'] },
      agent: { ...agent, codec: chat },
    });
    expect(await client.chat.completions.create(question)).toMatchObject({
      choices: [{ message: { content: 'Riga', reasoning_content: steps.join('\n') } }],
    });
    expect(chatTokenizer.decode(model.prompts[0] ?? [])).toMatch(/<\|im_start\|>assistant\n$/);
  });

  it('streams its steps, then the answer', async () => {
    const client = await connect({ model: saying(SEARCH_TURN, ANSWER_TURN), agent });
    let content = '';
    let reasoning = '';
    for await (const chunk of await client.chat.completions.create({ ...question, stream: true })) {
      const delta = chunk.choices[0]?.delta as { content?: string; reasoning_content?: string };
      content += delta.content ?? '';
      reasoning += delta.reasoning_content ?? '';
    }
    expect(content).toBe('Riga');
    expect(reasoning).toBe(`${steps.join('\n')}\n`);
  });

  it('fills the gaps of a text, and says how an episode without answer ended', async () => {
    const model = saying(renderAnswerTurn('so', 'Riga ; Latvia'), 'nonsense ');
    const client = await connect({ model, agent });
    const gaps = { ...question, messages: [user('[mask] is the capital of [mask].')] };
    const filled = await client.chat.completions.create(gaps);
    expect(filled).toMatchObject({ masksearch: { answer: ['Riga', 'Latvia'] } });
    expect(tokenizer.decode(model.prompts[0] ?? [])).toBe(
      'Fill: [mask] is the capital of [mask].\n 1: [mask] is the capital of [mask].\n',
    );
    const lost = await client.chat.completions.create(question);
    expect(lost).toMatchObject({
      choices: [{ finish_reason: 'length', message: { content: '' } }],
      masksearch: { finishReason: 'turn-length', answer: null },
    });
  });

  it.each([
    [{ messages: [{ role: 'system', content: 'x' }] }, /question/],
    [{ n: 2 }, /one answer/],
    [{ tools: [searchTool] }, /its own search/],
  ])('refuses %j', async (more, message) => {
    const client = await connect({ model: saying(ANSWER_TURN), agent });
    const error = await refusal(
      client.chat.completions.create({ ...question, ...(more as object) }),
    );
    expect(error.message).toMatch(message);
  });
});
