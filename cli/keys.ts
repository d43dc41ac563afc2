import { Option } from 'commander';
import type { Command } from 'commander';
import { LookalikeError } from '../contracts/errors.ts';
import type { ApiScope } from '../contracts/registry.ts';
import { handles, withStores } from './run-command.ts';
import { table } from './table.ts';

/** `keys create | list | revoke`: API keys, of which only a hash is stored. */
export function addKeyCommands(program: Command): void {
  const group = program.command('keys').description('API keys; needed as soon as the API is reachable from elsewhere');

  handles<{ scope: 'read' | 'write' }>(
    group
      .command('create <name>')
      .description('make a key; it is shown this once')
      .addOption(new Option('--scope <scope>', 'write includes read').choices(['read', 'write']).default('read')),
    async (context, { scope }, name = '') =>
      withStores(context, async ({ registry }) => {
        const scopes: ApiScope[] = scope === 'write' ? ['read', 'write'] : ['read'];
        const created = await registry.apiKeys.create(name, scopes);
        context.print({ ...created, name, scopes }, () => created.key);
      }),
  );

  handles(group.command('list').description('all keys, without their secrets'), async (context) =>
    withStores(context, async ({ registry }) => {
      const keys = await registry.apiKeys.list();
      context.print({ keys }, () =>
        table(
          ['ID', 'NAME', 'SCOPES', 'CREATED'],
          keys.map((key) => [key.id, key.name, key.scopes.join(','), key.createdAt]),
        ),
      );
    }),
  );

  handles(group.command('revoke <id>').description('make a key useless at once'), async (context, _options, id = '') =>
    withStores(context, async ({ registry }) => {
      if (!(await registry.apiKeys.revoke(id))) {
        throw new LookalikeError('notFound', `Expected a key "${id}", found none. \`lookalike keys list\` shows them.`);
      }
      context.print({ id, revoked: true }, () => `${id} is revoked`);
    }),
  );
}
