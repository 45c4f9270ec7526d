// Spans that a language model lists (the paper's way): asked for in the language of the paragraph, each checked against it.
import { completeJson, type ChatModel } from '@masksearch/chat';
import { InputError, MaskSearchError, type Span } from '@masksearch/core';
import { readModelSpans } from '@masksearch/ramp';
import { z } from 'zod';

const MAXIMUM_SPANS = 40;
const replySchema = z.strictObject({ spans: z.array(z.string().min(1)).max(MAXIMUM_SPANS) });

/** Changes with every change of a text. */
export const SPAN_PROMPT_VERSION = '1';

const ENGLISH = `You choose what a reader must look up. From the paragraph, list the spans that name something definite: people, places, organisations, works, events, dates, numbers with their unit, and technical terms. Choose what could not be guessed from the rest of the paragraph but could be found in another document.
Copy every span exactly as it stands in the paragraph, whole words only, as short as it can be while still naming the thing. Leave out the subject of the paragraph, anything that is mentioned more than once, and common words. More than five spans if there are as many.
Reply with one JSON object and nothing else. Its key:
- "spans": a list of strings
Example: {"spans": ["B.S.", "mathematics", "University of Michigan", "1970"]}`;

const CHINESE = `你要选出读者必须查证的内容。从段落中列出指称确定事物的片段：人物、地点、机构、作品、事件、日期、带单位的数字和专业术语。选择无法从段落其余部分猜出、但能在其他文档中查到的内容。
每个片段必须与段落原文完全一致，在能够指称该事物的前提下尽量简短。不要选段落的主题、出现不止一次的内容和常用词。如果有，尽量给出五个以上。
只回复一个 JSON 对象，不要写其他内容。键如下：
- "spans"：字符串列表
示例：{"spans": ["理学学士", "数学", "密歇根大学", "1970年"]}`;

export interface SpanLister {
  readonly list: (paragraph: { title: string; text: string }) => Promise<readonly Span[] | null>;
  /** What became of the strings listed so far. */
  readonly counts: { listed: number; absent: number; repeated: number; unreadable: number };
}

/** A function for `makeTasks`. A reply that is no list, also after one repair, gives null. */
export function createSpanLister(model: ChatModel, signal?: AbortSignal): SpanLister {
  const counts = { listed: 0, absent: 0, repeated: 0, unreadable: 0 };
  return {
    counts,
    list: async ({ title, text }) => {
      const isChinese = (text.match(/\p{Script=Han}/gu)?.length ?? 0) > text.length / 4;
      const request = {
        messages: [
          { role: 'system', content: isChinese ? CHINESE : ENGLISH },
          { role: 'user', content: `# ${title.replace(/\s+/g, ' ')}\n${text}` },
        ] as const,
        maxTokens: 600,
      };
      try {
        const format = { name: 'spans', schema: replySchema };
        const { value } = await completeJson(model, request, format, { signal });
        const found = readModelSpans(text, JSON.stringify(value.spans));
        counts.listed += new Set(value.spans).size;
        counts.absent += found.absent.length;
        counts.repeated += found.repeated.length;
        return found.spans;
      } catch (error) {
        if (!(error instanceof InputError) || !MaskSearchError.isInstance(error)) throw error;
        counts.unreadable++;
        return null;
      }
    },
  };
}
