// `masksearch export-gguf`: a model folder, or an adapter merged into it, as one GGUF file.
import { Command, Option } from 'commander';
import type { GgufDtype } from '@masksearch/model';

interface ExportGgufOptions {
  readonly model: string;
  readonly output: string;
  readonly adapter?: string;
  readonly dtype: string;
  readonly json?: boolean;
}

// Named here so that `--help` does not load the model package.
const DTYPES: Readonly<Record<string, GgufDtype>> = {
  q8_0: 'Q8_0',
  f16: 'F16',
  bf16: 'BF16',
  f32: 'F32',
};

export function exportGgufCommand(): Command {
  return new Command('export-gguf')
    .description('write a model as one GGUF file for llama.cpp and its relatives')
    .requiredOption('--model <folder>', 'Hugging Face folder of the model')
    .requiredOption('--output <file>', 'GGUF file to write')
    .option('--adapter <folder>', 'PEFT adapter folder to merge in')
    .addOption(
      new Option('--dtype <type>', 'how matrices are stored')
        .choices(Object.keys(DTYPES))
        .default('q8_0'),
    )
    .option('--json', 'print what was written as JSON')
    .addHelpText(
      'after',
      `
Tokenizer, special tokens and chat template of the folder go into the file.

Examples:
  $ masksearch export-gguf --model runs/quickstart/rl/model --output agent.gguf --dtype f32
  $ masksearch export-gguf --model models/base --adapter runs/wiki/sft/adapter --output agent.gguf`,
    )
    .action(async ({ model, output, adapter, dtype, json }: ExportGgufOptions) => {
      const { exportGguf } = await import('@masksearch/model');
      const { architecture, tensors, parameters } = await exportGguf(model, output, {
        dtype: DTYPES[dtype] ?? 'Q8_0',
        ...(adapter === undefined ? {} : { adapter }),
      });
      const written = { output, architecture, dtype, tensors, parameters };
      process.stdout.write(
        json
          ? `${JSON.stringify(written)}\n`
          : `${output}: ${architecture}, ${tensors} tensors, ${parameters} parameters, ${dtype}\n`,
      );
    });
}
