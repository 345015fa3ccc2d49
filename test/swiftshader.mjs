// A Vulkan driver that computes on the processor, so that the WebGPU provider runs on a machine without a GPU: Debian's Chromium brings it.
import { existsSync } from 'node:fs';
import { installPackages } from './debian.mjs';

const driver = '/usr/lib/chromium/vk_swiftshader_icd.json';

installPackages(['chromium', 'libvulkan1'], 'the tests on WebGPU');
if (!existsSync(driver)) {
  console.error(`${driver} is missing: Debian's chromium has it, this one does not`);
  process.exit(1);
}
