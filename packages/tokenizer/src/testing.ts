// Chat templates with what the real ones do that matters: written for the tests, one per family's habits. The real
// ones, from a folder that bench/peers/chat-templates.sh fills, are tested beside them where they are.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Tool output as the user's, as both Qwen families write it. */
const TOOL_AS_USER = `{{- '<|im_start|>user\\n<tool_response>\\n' + m.content + '\\n</tool_response><|im_end|>\\n' }}`;
/** Any other turn, the end of the turns, and the start of the next. */
const OTHERS_AND_PROMPT = `{%- else %}
{{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{% endif %}`;

/** Like Qwen2.5: a system message of its own, a line break after the end of a turn, tool output as the user's. */
const TURNS = `
{%- if messages[0].role != 'system' %}{{- '<|im_start|>system\\nYou help.<|im_end|>\\n' }}{% endif %}
{%- for m in messages %}
{%- if m.role == 'tool' %}
${TOOL_AS_USER}
{%- elif m.role == 'system' and tools %}
{{- '<|im_start|>system\\n' + m.content + '\\n# Tools' }}
{%- for tool in tools %}{{- '\\n' + tool | tojson }}{% endfor %}
{{- '\\nCall with <tool_call></tool_call>.<|im_end|>\\n' }}
${OTHERS_AND_PROMPT}`;

/** Like Qwen3: thoughts of turns before the user's last message are left out. */
const THINKING = `
{%- set ns = namespace(last=0) %}
{%- for m in messages %}{% if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}
{%- for m in messages %}
{%- if m.role == 'assistant' and '</think>' in m.content and loop.index0 < ns.last %}
{{- '<|im_start|>assistant\\n' + m.content.split('</think>')[-1].lstrip('\\n') + '<|im_end|>\\n' }}
{%- elif m.role == 'tool' %}
${TOOL_AS_USER}
${OTHERS_AND_PROMPT}`;

/** Like Llama 3.x: begin-of-text, contents trimmed, tool output quoted as JSON, tools in the first user message. */
const HEADERS = `
{{- bos_token }}
{%- if tools and messages | length < 2 %}{{ raise_exception('no user message for the tools') }}{% endif %}
{%- for m in messages %}
{%- if m.role == 'tool' %}
{{- '<|start_header_id|>ipython<|end_header_id|>\\n\\n' + (m.content | tojson) + '<|eot_id|>' }}
{%- elif m.role == 'user' and tools and loop.index0 == 1 %}
{{- '<|start_header_id|>user<|end_header_id|>\\n\\nAnswer {"name": name, "parameters": values}.\\n' }}
{%- for tool in tools %}{{- tool | tojson(indent=4) + '\\n\\n' }}{% endfor %}
{{- (m.content | trim) + '<|eot_id|>' }}
{%- else %}
{{- '<|start_header_id|>' + m.role + '<|end_header_id|>\\n\\n' + (m.content | trim) + '<|eot_id|>' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}`;

export const TEMPLATES = { turns: TURNS, thinking: THINKING, headers: HEADERS } as const;

/** Special tokens that these templates, and the real ones, write. */
export const CHAT_TOKENS = [
  '<|begin_of_text|>',
  '<|endoftext|>',
  '<|im_start|>',
  '<|im_end|>',
  '<|start_header_id|>',
  '<|end_header_id|>',
  '<|eot_id|>',
] as const;

/** A real template, or null where MASKSEARCH_TEMPLATES names no folder that has it. */
export function realTemplate(name: 'qwen2_5' | 'qwen3' | 'llama3_2'): string | null {
  const folder = process.env['MASKSEARCH_TEMPLATES'];
  if (folder === undefined) return null;
  const path = join(folder, `${name}.jinja`);
  return existsSync(path) ? readFileSync(path, 'utf8') : null;
}
