// Preloaded: kills its process before the Nth call that changes the disk (KILL_AT), or writes how many there were (COUNT_TO).
const fs = require('node:fs');
const promises = require('node:fs/promises');
const process = require('node:process');

const at = Number(process.env.KILL_AT ?? 0);
const CHANGES = /^(?:rename|rm|unlink|writeFile|copyFile|mkdir|chmod|appendFile|utimes|truncate|symlink|link|rmdir)$/;
let calls = 0;

function before() {
  calls++;
  if (calls === at) process.kill(process.pid, 'SIGKILL');
}

function hook(object, name, changes = () => true) {
  const original = object[name];
  object[name] = function (...given) {
    if (changes(given)) before();
    return original.apply(this, given);
  };
}

for (const name of Object.keys(promises)) if (CHANGES.test(name)) hook(promises, name);
for (const name of Object.keys(fs)) if (name.endsWith('Sync') && CHANGES.test(name.slice(0, -4))) hook(fs, name);
const { open } = promises;
let hooked = false;
promises.open = async function (path, flags = 'r', mode) {
  if (typeof flags === 'string' ? /[wa+]/.test(flags) : (flags & 3) !== 0) before();
  const handle = await open(path, flags, mode);
  if (!hooked) {
    hooked = true;
    for (const name of ['write', 'writeFile', 'sync', 'chmod', 'truncate']) hook(Object.getPrototypeOf(handle), name);
  }
  return handle;
};
if (process.env.COUNT_TO) {
  const write = fs.writeFileSync;
  process.on('exit', () => write(process.env.COUNT_TO, String(calls)));
}
