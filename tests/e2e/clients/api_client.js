// Plays cases (lib/api_cases.py) with the published npm client on the API at BASE with TOKEN. Reads a list of
// them, and prints what it saw of each. The client turns names_of_members into namesOfMembers and back.
const { Ngrok } = require('@ngrok/ngrok-api');

const [base, token] = process.argv.slice(2);
const ngrok = new Ngrok({ apiToken: token, baseUrl: base });

const camel = (name) => name.replace(/_(\w)/g, (_, c) => c.toUpperCase());
const snake = (name) => name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);

function renamed(value, rename) {
  if (Array.isArray(value)) return value.map((v) => renamed(v, rename));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [rename(k), renamed(v, rename)]));
}

async function failure(promise) {
  try {
    await promise;
  } catch (e) {
    if (!e.details) throw e;
    return { status: e.statusCode, code: e.errorCode, operation: e.details.get('operationId') };
  }
  return null;
}

async function play(case_) {
  const service = ngrok[camel(case_.name)];
  const of = renamed(case_.of, camel);
  const isNested = Object.keys(of).length > 0;
  const members = (o) => (isNested ? { ...of, type: o.type } : { id: o.id });
  const key = (o) => (isNested ? members(o) : o.id);
  const seen = {};
  let made = [];
  for (const body of case_.creates) made.push(await service.create({ ...of, ...renamed(body, camel) }));
  if (made.length > 0) seen.created = made;
  for (const id of case_.there) made.push(await service.get(id));
  seen.got = [];
  for (const o of made) seen.got.push(await service.get(key(o)));
  seen.listed = isNested ? (await service.list(of)).sources : await service.list(undefined, case_.limit);
  if (case_.update) seen.updated = await service.update({ ...members(made[0]), ...renamed(case_.update, camel) });
  if (case_.refused) seen.refused = await failure(service.create({ ...of, ...renamed(case_.refused[0], camel) }));
  seen.calls = [];
  for (const [verb] of case_.calls) {
    const who = verb === 'update' ? members(made[0]) : key(made[0]);
    seen.calls.push(await failure(service[camel(verb)](who)));
  }
  if (case_.creates.length > 0) for (const o of made) await service.delete(key(o));
  seen.gone = await failure(service.get(key(made[0])));
  return renamed(seen, snake);
}

(async () => {
  const cases = JSON.parse(require('fs').readFileSync(0, 'utf8'));
  const out = [];
  for (const c of cases) out.push(await play(c));
  console.log(JSON.stringify(out));
})().catch((e) => { console.error(e); process.exit(1); });
