import type { Json } from '../contracts/json.ts';
import type { LineageNode } from '../infra/artifacts/lineage.ts';

/** The tree with a line of what is known of each artefact below its name. */
export function drawTree(node: LineageNode): string[] {
  return [nameOf(node), ...drawBelow(node, '')];
}

function drawBelow(node: LineageNode, indent: string): string[] {
  const bar = node.inputs.length > 0 ? '│ ' : '  ';
  const about = describe(node).map((line) => `${indent}${bar}  ${line}`);
  const inputs = node.inputs.flatMap((input, i) => {
    const isLast = i === node.inputs.length - 1;
    return [
      `${indent}${isLast ? '└─' : '├─'} ${nameOf(input)}`,
      ...drawBelow(input, `${indent}${isLast ? '   ' : '│  '}`),
    ];
  });
  return [...about, ...inputs];
}

const MARKS = { artifact: '', blob: '', seen: ' (see above)', gone: ' (deleted)' } as const;

function nameOf({ role, id, state }: LineageNode): string {
  return `${role}: ${id}${MARKS[state]}`;
}

function describe({ made }: LineageNode): string[] {
  if (made === null) return [];
  const { config, seed, codeVersion, metrics } = made;
  const by = [`code ${codeVersion}`, ...(seed === null ? [] : [`seed ${seed}`])].join(', ');
  const figures = Object.entries(metrics).map(([name, value]) => `${name} ${shortly(value)}`);
  return [
    by,
    ...(Object.keys(config).length > 0 ? [`config ${clipped(JSON.stringify(config))}`] : []),
    ...(figures.length > 0 ? [figures.join(', ')] : []),
  ];
}

function shortly(value: Json): string {
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : value.toPrecision(4);
  if (typeof value !== 'object' || value === null) return String(value);
  return Object.entries(value)
    .map(([key, inner]) => `@${key} ${shortly(inner)}`)
    .join(' ');
}

/** One line on most terminals; `artifacts show` has all of it. */
function clipped(text: string): string {
  return text.length <= 100 ? text : `${text.slice(0, 99)}…`;
}

/** The same as a Mermaid flowchart, from inputs to results. */
export function drawMermaid(root: LineageNode): string {
  const nodes = new Map<string, string>();
  const edges: string[] = [];
  const visit = (node: LineageNode): void => {
    if (!nodes.has(node.id)) nodes.set(node.id, `  ${keyOf(node.id)}["${node.id.replaceAll('"', "'")}"]`);
    for (const input of node.inputs) {
      visit(input);
      edges.push(`  ${keyOf(input.id)} -- ${input.role} --> ${keyOf(node.id)}`);
    }
  };
  visit(root);
  return ['flowchart LR', ...nodes.values(), ...edges].join('\n');
}

function keyOf(id: string): string {
  return id.replace(/[^A-Za-z0-9]/g, '_');
}
