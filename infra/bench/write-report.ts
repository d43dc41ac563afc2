import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { drawSvg, pngOf } from './draw.ts';
import { plotsOf } from './plots.ts';
import { AT_RECALL_HEADING, atRecallCells, RESULT_HEADING, resultCells } from './result-table.ts';
import type { BenchResult } from './run-bench.ts';

/**
 * Writes `result.json`, each drawing as SVG and PNG, and `report.html`, which holds all of them and needs nothing else.
 * Answers the paths.
 */
export async function writeReport(result: BenchResult, folder: string): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const paths: string[] = [];
  const write = async (name: string, content: string | Uint8Array): Promise<void> => {
    const path = join(folder, name);
    await writeFile(path, content);
    paths.push(path);
  };
  await write('result.json', `${JSON.stringify(result, null, 2)}\n`);
  const drawings: string[] = [];
  for (const { name, title, about, spec } of plotsOf(result)) {
    const svg = await drawSvg(spec, title);
    await write(`${name}.svg`, svg);
    await write(`${name}.png`, await pngOf(svg));
    drawings.push(`<figure>${svg}<figcaption>${escaped(about)}</figcaption></figure>`);
  }
  await write('report.html', page(result, drawings));
  return paths;
}

/** What was measured where, a line each. */
export function settingLines({ hardware, data, k, seed, threads, rounds, roundSeconds, peers }: BenchResult): string[] {
  const { cpu, cores, memoryBytes, node, platform, lookalike } = hardware;
  return [
    `${data.name}: ${data.numRows} rows, ${data.numQueries} queries, ${data.dim} dimensions, ${data.metric}, k ${k}, seed ${seed}`,
    `${cpu}, ${cores} cores, ${(memoryBytes / 2 ** 30).toFixed(0)} GiB, ${platform}; Node ${node}, lookalike ${lookalike}`,
    `${threads} threads; best of ${rounds} rounds of ${roundSeconds} s each, ours and the peers' in turns`,
    typeof peers === 'string'
      ? peers
      : `Peers: ${Object.entries(peers)
          .map(([name, version]) => `${name} ${version ?? '(absent)'}`)
          .join(', ')}`,
  ];
}

function page(result: BenchResult, drawings: readonly string[]): string {
  const summary = tableHtml(AT_RECALL_HEADING, atRecallCells(result.atRecall));
  const all = tableHtml(RESULT_HEADING, resultCells(result.rows), (i) => result.rows[i]?.by === 'peer');
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Index comparison</title>
<style>
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: #222; background: #fff; }
  figure { margin: 2rem 0; } figure svg { max-width: 100%; height: auto; } figcaption { color: #555; }
  .scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
  td, th { padding: .2rem .6rem; text-align: left; border-bottom: 1px solid #ddd; white-space: nowrap; } .peer { color: #666; }
</style>
<h1>Index comparison</h1>
${settingLines(result)
  .map((line) => `<p>${escaped(line)}.</p>`)
  .join('\n')}
${drawings.join('\n')}
<h2>At equal recall</h2>
${summary}
<h2>All that was measured</h2>
${all}
</html>
`;
}

function tableHtml(
  heading: readonly string[],
  cells: readonly (readonly (string | number)[])[],
  isPeer: (row: number) => boolean = () => false,
): string {
  const head = heading.map((text) => `<th>${escaped(text)}</th>`).join('');
  const body = cells.map((row, i) => {
    const mark = isPeer(i) ? ' class="peer"' : '';
    return `<tr${mark}>${row.map((cell) => `<td>${escaped(String(cell))}</td>`).join('')}</tr>`;
  });
  return `<div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>\n${body.join('\n')}\n</tbody></table></div>`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
