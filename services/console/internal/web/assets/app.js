// Behaviour beyond htmx. Every page works without it.
(() => {
  'use strict';

  // What is pressed may be replaced by its like before it is released, and the browser clicks neither of them then: the new one is clicked, also
  // if the page has moved under a mouse that stood still.
  const sign = (e) => [e.tagName, e.textContent.trim(), ...Array.from(e.attributes, (a) => a.name + '=' + a.value).filter((a) => !/^(class|style)=/.test(a)).sort()].join(' ');
  let pressed = null;
  document.addEventListener('pointerdown', (e) => { const b = e.button === 0 ? e.target.closest('a[href], button') : null; pressed = b && { b, sign: sign(b), x: e.clientX, y: e.clientY }; }, true);
  document.addEventListener('pointerup', (e) => {
    const was = pressed;
    pressed = null;
    if (!was || was.b.isConnected || e.button !== 0) return;
    const like = (b) => b && sign(b) === was.sign;
    let now = document.elementFromPoint(e.clientX, e.clientY)?.closest('a[href], button');
    if (!like(now) && Math.hypot(e.clientX - was.x, e.clientY - was.y) < 4) {
      const all = [...document.querySelectorAll(was.b.tagName)].filter(like);
      now = all.length === 1 ? all[0] : null;
    }
    if (like(now)) setTimeout(() => now.click());
  }, true);

  // Relative times are updated every second; absolute times are shown in the local time zone.
  const units = [[86400 * 2, 'd', 86400], [3600, 'h', 3600], [60, 'min', 60], [0, 's', 1]];
  const rough = (seconds) => {
    for (const [from, name, size] of units) if (seconds >= from) return Math.floor(seconds / size) + ' ' + name;
    return '0 s';
  };
  const refresh = (root) => {
    const now = Date.now();
    for (const t of root.querySelectorAll('time[data-ago], time[data-until]')) {
      const past = (now - Date.parse(t.dateTime)) / 1000;
      if (Number.isNaN(past)) continue;
      const text = 'until' in t.dataset && past >= 0 ? 'due now' : Math.abs(past) < 1 ? 'now' : past < 0 ? 'in ' + rough(-past) : rough(past) + ' ago';
      if (t.textContent !== text) t.textContent = text;
    }
  };
  // Absolute times are shown in the zone of the browser or in UTC, as chosen, and always name it. The choice is kept in a cookie.
  let utc = /(?:^|; )outbound-zone=utc(?:;|$)/.test(document.cookie);
  const layout = { year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' };
  const absolute = (at, inUTC, precise) => {
    if (inUTC) return at.toISOString().replace('T', ' ').replace(precise ? 'Z' : /\.\d+Z/, '') + ' UTC';
    const part = {};
    const parts = new Intl.DateTimeFormat('en-US', { ...layout, timeZoneName: 'short', ...(precise && { fractionalSecondDigits: 3 }) }).formatToParts(at);
    for (const p of parts) part[p.type] = p.value;
    return `${part.year}-${part.month}-${part.day} ${part.hour}:${part.minute}:${part.second}${precise ? '.' + part.fractionalSecond : ''} ${part.timeZoneName}`;
  };
  const localise = (root) => {
    for (const t of root.querySelectorAll('time')) {
      const at = new Date(t.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      const text = absolute(at, utc, 'precise' in t.dataset);
      t.title = utc ? text : text + ', ' + absolute(at, true, 'precise' in t.dataset);
      if ('clock' in t.dataset) t.textContent = text;
    }
    for (const b of root.querySelectorAll('[data-zone-toggle]')) { b.hidden = false; b.textContent = utc ? 'Show times in local time' : 'Show times in UTC'; }
    for (const f of root.querySelectorAll(':is(input[name$="tartTime"], input[name$="ndTime"]):not([type=hidden])')) {
      if (f.dataset.zone === undefined) { f.dataset.zone = 'utc'; f.dataset.label = labelOf(f)?.textContent ?? ''; }
      const at = instant(f.value, f.dataset.zone === 'utc');
      f.dataset.zone = utc ? 'utc' : 'local';
      if (at && !f.value.includes('.')) f.value = absolute(at, utc, false).slice(0, 19);
      const label = labelOf(f);
      if (label) label.textContent = utc ? f.dataset.label : f.dataset.label.replace('(UTC)', '(' + absolute(at ?? new Date(), false, false).slice(20) + ')');
    }
  };
  // Fields of filters hold times in the zone that is shown; what is sent names it.
  const labelOf = (field) => field.id && document.querySelector('label[for="' + CSS.escape(field.id) + '"]');
  const instant = (text, inUTC) => {
    const m = /^(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d(?::\d\d(?:\.\d+)?)?))?(Z?)$/.exec(text.trim());
    const at = m && new Date(m[1] + 'T' + (m[2] || '00:00') + (inUTC || m[3] ? 'Z' : ''));
    return at && !Number.isNaN(at.getTime()) ? at : null;
  };
  document.addEventListener('formdata', (e) => {
    for (const f of e.target.querySelectorAll('input[data-zone="local"]')) {
      const at = /Z\s*$/.test(f.value) ? null : instant(f.value, false);
      if (at) e.formData.set(f.name, at.toISOString().replace('.000Z', 'Z'));
    }
  });
  // The server draws plots and reads days in this zone.
  document.cookie = 'outbound-tz=' + encodeURIComponent(Intl.DateTimeFormat().resolvedOptions().timeZone) + '; Path=/; Max-Age=31536000; SameSite=Lax';
  const switchZone = () => {
    utc = !utc;
    document.cookie = 'outbound-zone=' + (utc ? 'utc' : 'local') + '; Path=/; Max-Age=31536000; SameSite=Lax';
    localise(document);
  };
  // A part of the page that is updated may say what the title is now.
  const entitle = (root) => { const t = root.matches?.('[data-title]') ? root : root.querySelector('[data-title]'); if (t) document.title = t.dataset.title; };
  const activate = (root) => { refresh(root); localise(root); entitle(root); const f = root.querySelector('[data-focus]'); if (f) f.focus(); };
  document.addEventListener('DOMContentLoaded', () => activate(document));
  document.addEventListener('htmx:load', (e) => activate(e.detail.elt));
  setInterval(() => refresh(document), 1000);

  // The theme is stored in a cookie, so that the server renders it.
  const toggle = () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
    root.dataset.theme = dark ? 'light' : 'dark';
    document.cookie = 'outbound-theme=' + root.dataset.theme + '; Path=/; Max-Age=31536000; SameSite=Lax';
  };

  const copy = async (button) => {
    const before = button.textContent;
    try { await navigator.clipboard.writeText(button.dataset.copy); button.textContent = 'Copied'; } catch { button.textContent = 'Copy failed'; }
    setTimeout(() => { button.textContent = before; }, 1500);
  };

  document.addEventListener('click', (e) => {
    const b = e.target.closest('[data-theme-toggle], [data-zone-toggle], [data-opens], [data-closes], [data-dismiss], [data-copy]');
    if (!b) {
      // A menu closes when something else is clicked; a dialog, when its backdrop is.
      for (const m of document.querySelectorAll('details.menu[open]')) if (!m.contains(e.target)) m.open = false;
      if (e.target instanceof HTMLDialogElement) e.target.close();
      return;
    }
    if ('themeToggle' in b.dataset) toggle();
    if ('zoneToggle' in b.dataset) switchZone();
    if (b.dataset.opens) document.getElementById(b.dataset.opens)?.showModal();
    if ('closes' in b.dataset) b.closest('dialog')?.close();
    if ('dismiss' in b.dataset) b.closest('.flash')?.remove();
    if (b.dataset.copy !== undefined) copy(b);
  });
  document.addEventListener('keydown', (e) => {
    if (e.key !== 'Escape') return;
    for (const m of document.querySelectorAll('details.menu[open]')) { m.open = false; m.querySelector('summary').focus(); }
  });

  // Shows a notice while the server is unreachable.
  document.addEventListener('htmx:sendError', () => {
    const n = document.getElementById('notices');
    if (!n || n.querySelector('[data-offline]')) return;
    const p = document.createElement('p');
    p.className = 'flash bad'; p.dataset.offline = ''; p.setAttribute('role', 'alert');
    p.textContent = 'Outbound is not responding. Retrying …';
    n.append(p);
  });
  document.addEventListener('htmx:afterRequest', (e) => { if (e.detail.xhr?.status) document.querySelector('[data-offline]')?.remove(); });
})();
