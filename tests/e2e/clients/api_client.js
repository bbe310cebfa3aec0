// Uses the published npm client on the API at BASE with TOKEN, and prints what it saw as JSON.
const { Ngrok } = require('@ngrok/ngrok-api');

const [base, token] = process.argv.slice(2);
const ngrok = new Ngrok({ apiToken: token, baseUrl: base });
const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFwOL1frpUXcm1bS124052YzSIM2cLHDZ21nMznLtTRH npm';

async function failure(promise) {
  try {
    await promise;
  } catch (e) {
    return { status: e.statusCode, code: e.errorCode, operation: [...e.details.keys()] };
  }
  return null;
}

async function policies() {
  const made = [];
  for (let i = 0; i < 120; i++) {
    made.push(await ngrok.ipPolicies.create({ description: `p${i}`, metadata: '{"i":1}' }));
  }
  const listed = await ngrok.ipPolicies.list();
  const got = await ngrok.ipPolicies.get(made[5].id);
  const updated = await ngrok.ipPolicies.update({ id: made[5].id, description: 'y' });
  const rule = await ngrok.ipPolicyRules.create({
    ipPolicyId: made[5].id, cidr: '203.0.113.0/24', action: 'allow', description: '' });
  const twice = await failure(ngrok.ipPolicyRules.create({
    ipPolicyId: made[5].id, cidr: '203.0.113.0/24', action: 'deny' }));
  await ngrok.ipPolicies.delete(made[5].id);
  const gone = await failure(ngrok.ipPolicies.get(made[5].id));
  const goneRule = await failure(ngrok.ipPolicyRules.get(rule.id));
  for (const p of made) {
    if (p.id !== made[5].id) await ngrok.ipPolicies.delete(p.id);
  }
  const left = await ngrok.ipPolicies.list();
  return { listed: listed.map((p) => p.description), same: got.id === made[5].id &&
    got.createdAt === made[5].createdAt, updated: updated.description, cidr: rule.cidr,
    ref: rule.ipPolicy.id === made[5].id, twice, gone, goneRule, left: left.length };
}

async function credentials() {
  const made = await ngrok.sshCredentials.create({ publicKey: KEY, acl: ['bind:*.x.com'] });
  const twice = await failure(ngrok.sshCredentials.create({ publicKey: KEY }));
  const updated = await ngrok.sshCredentials.update({ id: made.id, acl: [] });
  const listed = await ngrok.sshCredentials.list();
  await ngrok.sshCredentials.delete(made.id);
  return { key: made.publicKey === KEY, acl: made.acl, twice, updated: updated.acl,
    listed: listed.length };
}

async function keys() {
  const made = await ngrok.apiKeys.create({ description: 'npm' });
  const got = await ngrok.apiKeys.get(made.id);
  const other = new Ngrok({ apiToken: made.token, baseUrl: base });
  const seen = await other.apiKeys.list();
  await other.apiKeys.delete(made.id);
  const refused = await failure(other.apiKeys.list());
  const unknown = await failure(ngrok.apiKeys.get('x'));
  return { token: made.token.length, later: got.token, seen: seen.some((k) => k.id === made.id),
    refused, unknown };
}

(async () => {
  console.log(JSON.stringify({
    policies: await policies(), credentials: await credentials(), keys: await keys() }));
})().catch((e) => { console.error(e); process.exit(1); });
