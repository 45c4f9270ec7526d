// A model's chat template, rendered by Hugging Face's own Jinja engine. Knows nothing about tokens.
import { Environment, Interpreter, Template } from '@huggingface/jinja';
import { InputError } from '@masksearch/core';

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant' | 'tool';
  readonly content: string;
}

/** A function that the model may call, as JSON Schema says it. */
export interface ToolDefinition {
  readonly name: string;
  readonly description: string;
  readonly parameters: Readonly<Record<string, unknown>>;
}

export interface ChatTemplateOptions {
  /** What templates print as `bos_token`; default nothing. */
  readonly bosToken?: string;
  readonly eosToken?: string;
  /** File name or other origin, for errors. */
  readonly where?: string;
}

export interface RenderOptions {
  readonly tools?: readonly ToolDefinition[];
  /** Ends with what opens the assistant's turn. */
  readonly addGenerationPrompt?: boolean;
}

// The day on which every prompt is written: the fallback of Meta's own templates. A clock would make runs differ.
const TODAY = { '%d': '26', '%b': 'Jul', '%B': 'July', '%m': '07', '%Y': '2024', '%y': '24' };

export class ChatTemplate {
  readonly where: string;
  readonly #template: Template;
  readonly #variables: Readonly<Record<string, unknown>>;

  /** @throws {InputError} the source is no Jinja template. */
  constructor(source: string, options: ChatTemplateOptions = {}) {
    this.where = options.where ?? 'chat_template';
    this.#variables = {
      bos_token: options.bosToken ?? '',
      eos_token: options.eosToken ?? '',
      date_string: formatToday('%d %b %Y'),
    };
    try {
      this.#template = new Template(source);
    } catch (cause) {
      throw new InputError(`${this.where}: expected a Jinja template; ${messageOf(cause)}.`, {
        cause,
      });
    }
  }

  /** @throws {InputError} the template refuses the messages; its own words are in the message. */
  render(messages: readonly ChatMessage[], options: RenderOptions = {}): string {
    const tools = options.tools?.map((tool) => ({ type: 'function', function: tool }));
    try {
      return this.#run({
        ...this.#variables,
        messages,
        ...(tools === undefined || tools.length === 0 ? {} : { tools }),
        add_generation_prompt: options.addGenerationPrompt ?? false,
      });
    } catch (cause) {
      const roles = messages.map(({ role }) => role).join(', ');
      throw new InputError(
        `${this.where}: expected a template for messages of ${roles}; ${messageOf(cause)}.`,
        { cause },
      );
    }
  }

  /** As the engine's own `render`, but for `strftime_now`, which there reads the clock. */
  #run(variables: Readonly<Record<string, unknown>>): string {
    const environment = new Environment();
    for (const [name, value] of Object.entries({ ...GLOBALS, ...variables })) {
      environment.set(name, value);
    }
    return String(new Interpreter(environment).run(this.#template.parsed).value);
  }
}

/** What every template may use, as the engine defines it. */
const GLOBALS = {
  true: true,
  false: false,
  none: null,
  True: true,
  False: false,
  None: null,
  range: (start: number, stop?: number, step = 1): number[] => {
    const [from, to] = stop === undefined ? [0, start] : [start, stop];
    const count = Math.max(0, Math.ceil((to - from) / step));
    return Array.from({ length: count }, (_, i) => from + i * step);
  },
  raise_exception: (reason: unknown): never => {
    throw new Error(String(reason));
  },
  strftime_now: formatToday,
};

function formatToday(format: string): string {
  return format.replace(/%\w/g, (part) => TODAY[part as keyof typeof TODAY] ?? part);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
