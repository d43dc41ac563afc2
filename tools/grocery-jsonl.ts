/**
 * Turns the Grocery Store dataset (Klasson et al., WACV 2019) into files that `catalogue import` and `eval` read.
 *
 *   node tools/grocery-jsonl.ts <dataset folder> <output folder>
 *
 * Writes photos.jsonl (training photos), iconic.jsonl (one catalogue picture per product), catalogue.jsonl (both),
 * and val.jsonl (validation photos, and test.jsonl where the split is present); the category is the fine-grained product.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { parse } from 'csv-parse/sync';

const [datasetArg, outArg] = process.argv.slice(2);
if (!datasetArg || !outArg) {
  console.error('Expected two arguments, the dataset folder and the output folder.');
  process.exit(2);
}
const dataset = resolve(datasetArg);
const out = resolve(outArg);

interface Product {
  name: string;
  iconic: string;
  coarse: string;
}

function readProducts(): Map<string, Product> {
  const text = readFileSync(join(dataset, 'classes.csv'));
  const rows = parse<Record<string, string>>(text, { columns: true, trim: true });
  return new Map(
    rows.map((row) => [
      row['Class ID (int)'] ?? '',
      {
        name: row['Class Name (str)'] ?? '',
        iconic: row['Iconic Image Path (str)'] ?? '',
        coarse: row['Coarse Class Name (str)'] ?? '',
      },
    ]),
  );
}

function writeRows(name: string, rows: object[]): void {
  writeFileSync(join(out, name), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  console.log(`${name}: ${rows.length} rows`);
}

const products = readProducts();
const split = (name: string): object[] =>
  readFileSync(join(dataset, `${name}.txt`), 'utf8')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [path = '', fine = ''] = line.split(',').map((part) => part.trim());
      const product = products.get(fine);
      if (!product) throw new Error(`Expected a class id of classes.csv in ${name}.txt, got "${fine}".`);
      return {
        id: `${name}/${basename(path, '.jpg')}`,
        image: join(dataset, path),
        category: product.name,
        title: product.name.replaceAll('-', ' '),
        attributes: { group: product.coarse },
      };
    });

mkdirSync(out, { recursive: true });
const photos = split('train');
const iconic = [...products.values()].map((product) => ({
  id: `iconic/${product.name}`,
  image: join(dataset, product.iconic),
  category: product.name,
  title: product.name.replaceAll('-', ' '),
  attributes: { group: product.coarse },
}));
writeRows('photos.jsonl', photos);
writeRows('iconic.jsonl', iconic);
writeRows('catalogue.jsonl', [...iconic, ...photos]);
for (const name of ['val', 'test'])
  if (existsSync(join(dataset, `${name}.txt`))) writeRows(`${name}.jsonl`, split(name));
