// Uses the events of the published npm client on the API at BASE with TOKEN, and prints what it saw as JSON.
const { Ngrok } = require('@ngrok/ngrok-api');

const [base, token] = process.argv.slice(2);
const ngrok = new Ngrok({ apiToken: token, baseUrl: base });
const HTTP = 'http_request_complete.v0';
const VAULT = 'vault_created.v0';

async function failure(promise) {
  try {
    await promise;
  } catch (e) {
    return { status: e.statusCode, code: e.errorCode };
  }
  return null;
}

(async () => {
  const made = await ngrok.eventDestinations.create({ format: 'json', description: 'npm',
    target: { datadog: { apiKey: 'k', ddsite: 'http://127.0.0.1:9/in' } } });
  const of = await ngrok.eventSubscriptions.create({
    sources: [{ type: VAULT }], destinationIds: [made.id] });
  await ngrok.eventSources.create({ subscriptionId: of.id, type: HTTP });
  const sources = (await ngrok.eventSubscriptions.get(of.id)).sources;
  const listed = await ngrok.eventSources.list({ subscriptionId: of.id });
  const got = await ngrok.eventSources.get({ subscriptionId: of.id, type: HTTP });
  const updated = await ngrok.eventSources.update({ subscriptionId: of.id, type: HTTP });
  const used = await failure(ngrok.eventDestinations.delete(made.id));
  await ngrok.eventSources.delete({ subscriptionId: of.id, type: HTTP });
  const gone = await failure(ngrok.eventSources.get({ subscriptionId: of.id, type: HTTP }));
  await ngrok.eventSubscriptions.update({ id: of.id, description: 'y' });
  await ngrok.eventSubscriptions.delete(of.id);
  await ngrok.eventDestinations.update({ id: made.id, metadata: 'm' });
  await ngrok.eventDestinations.delete(made.id);
  const left = [(await ngrok.eventDestinations.list()).length,
    (await ngrok.eventSubscriptions.list()).length];
  const types = (list) => (list.sources || list).map((s) => s.type);
  console.log(JSON.stringify({
    made: { site: made.target.datadog.ddsite, key: made.target.datadog.apiKey },
    destinations: of.destinations.length, sources: types(sources), listed: types(listed),
    got: got.type, updated: updated.type, used, gone, left }));
})().catch((e) => { console.error(e); process.exit(1); });
