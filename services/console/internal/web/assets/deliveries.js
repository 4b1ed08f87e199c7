// The live list of deliveries: new rows arrive, a delivery opens in the drawer, rows are selected. The page works without it.
(() => {
  'use strict';
  const byId = (id) => document.getElementById(id);
  const template = document.createElement('template');

  // Live updates. New rows are inserted once per frame, as one fragment. The newer row of a delivery replaces the older one.
  const live = byId('live'), rows = byId('rows');
  if (live && rows && window.EventSource) {
    const most = Number(rows.dataset.most), state = byId('live-state'), toggle = byId('live-toggle'), said = byId('live-said'), note = byId('live-note');
    let paused = false, offline = true, pressed = false, pending = [], pendingCount = 0, missed = 0, fresh = 0, frame = 0;
    live.hidden = false;
    const show = () => {
      live.classList.toggle('on', !paused && !offline);
      const text = paused ? 'paused' : offline ? 'disconnected, reconnecting' : 'live';
      if (state.textContent !== text) state.textContent = text;
      const word = paused ? (pendingCount ? 'Show ' + pendingCount + ' new' : 'Resume') : 'Pause';
      if (toggle.textContent !== word) toggle.textContent = word;
      toggle.setAttribute('aria-pressed', String(paused));
      if (missed) { note.hidden = false; note.textContent = missed + ' more records arrived than this page can show. Reload the page to see all.'; }
    };
    // buffer keeps the newest row of each delivery, newest first, up to the row limit of the page.
    const buffer = (arrived) => {
      const ids = new Set(arrived.map((r) => r.id));
      pending = arrived.concat(pending.filter((r) => !ids.has(r.id))).slice(0, most);
    };
    const put = () => {
      frame = 0;
      if (paused || pressed || !pending.length) return;
      const fragment = document.createDocumentFragment();
      let focus = '';
      for (const r of pending) {
        const before = byId(r.id);
        if (before) {
          if (before.querySelector('[name=target]')?.checked) r.querySelector('[name=target]').checked = true;
          if (before.contains(document.activeElement)) focus = '#' + r.id + ' ' + (document.activeElement.matches('input') ? 'input' : 'a[href="' + CSS.escape(document.activeElement.getAttribute('href')) + '"]');
          before.remove();
        }
        fragment.append(r);
      }
      pending = []; pendingCount = 0;
      rows.prepend(fragment);
      while (rows.childElementCount > most) rows.lastElementChild.remove();
      if (focus) rows.querySelector(focus)?.focus({ preventScroll: true });
      for (const id of ['log', 'picked']) byId(id)?.classList.remove('nothing');
      byId('nothing')?.remove();
      show();
    };
    const soon = () => { if (!paused && !frame) frame = requestAnimationFrame(put); };
    // While a row is pressed the list stays as it is: a row that is replaced, or moves, between press and release is not clicked.
    const release = () => setTimeout(() => { pressed = false; soon(); });
    rows.addEventListener('pointerdown', () => { pressed = true; });
    for (const what of ['pointerup', 'pointercancel', 'blur']) addEventListener(what, () => { if (pressed) release(); });
    addEventListener('pointermove', (e) => { if (pressed && !e.buttons) release(); });
    const source = new EventSource(live.dataset.tail);
    source.addEventListener('rows', (e) => {
      template.innerHTML = e.data;
      const arrived = template.content.firstElementChild;
      if (!arrived) return;
      missed += Number(arrived.dataset.missed); pendingCount += Number(arrived.dataset.count); fresh += Number(arrived.dataset.count);
      buffer(Array.from(arrived.children));
      soon(); if (paused) show();
    });
    source.addEventListener('service', (e) => { offline = e.data !== 'up'; show(); });
    source.onerror = () => {
      offline = true; show();
      if (source.readyState === EventSource.CLOSED) state.textContent = 'ended: reload the page';
    };
    const pause = (on) => { if (paused !== on) { paused = on; show(); soon(); } };
    toggle.addEventListener('click', () => pause(!paused));
    // Selecting a row pauses the list.
    document.addEventListener('change', (e) => { if (e.target.matches('#rows [name=target], #pick-all') && e.target.checked) pause(true); });
    // Screen readers get a summary every 10 s, not one per batch.
    setInterval(() => { if (fresh && !document.hidden) { said.textContent = fresh + (fresh === 1 ? ' new delivery record' : ' new delivery records') + (paused ? ', paused' : ''); fresh = 0; } }, 10000);
    addEventListener('pagehide', () => source.close());
    addEventListener('pageshow', (e) => { if (e.persisted) location.reload(); });
  }

  // Selection.
  const all = byId('pick-all'), counted = byId('picked-count');
  const boxes = () => Array.from(document.querySelectorAll('#rows [name=target]'));
  const recount = () => {
    const n = boxes().filter((t) => t.checked).length;
    byId('picked')?.classList.toggle('any', n > 0);
    if (counted) counted.textContent = n ? n + ' selected:' : 'With selected:';
    if (all) { all.checked = n > 0 && n === boxes().length; all.indeterminate = n > 0 && n < boxes().length; }
  };
  if (all) { all.hidden = false; all.addEventListener('change', () => { for (const t of boxes()) t.checked = all.checked; recount(); }); }
  document.addEventListener('change', (e) => { if (e.target.name === 'target') recount(); });
  addEventListener('pageshow', recount);

  // The confirmation dialog.
  document.addEventListener('htmx:afterSwap', (e) => {
    if (e.detail.target.id === 'ask' && !e.detail.target.open) e.detail.target.showModal();
    if (e.detail.target.id === 'drawer') openDrawer();
  });

  // The drawer: one delivery next to the list.
  const drawer = byId('drawer');
  let opener = null;
  const openDrawer = () => { drawer.hidden = false; drawer.scrollTop = 0; reveal(drawer); drawer.querySelector('#drawer-title')?.focus(); };
  const closeDrawer = () => {
    if (!drawer || drawer.hidden) return;
    drawer.hidden = true; drawer.replaceChildren();
    const again = opener && (opener.isConnected ? opener : document.querySelector('a[data-drawer][href="' + CSS.escape(opener.getAttribute('href')) + '"]'));
    (again || document.getElementById('content')).focus({ preventScroll: true });
  };
  const reveal = (root) => { for (const b of root.querySelectorAll('[data-copy-link], [data-copy-from]')) b.hidden = false; };
  reveal(document);

  const copy = async (button, text) => {
    const before = button.textContent;
    try { await navigator.clipboard.writeText(text); button.textContent = 'Copied'; } catch { button.textContent = 'Copy failed'; }
    setTimeout(() => { button.textContent = before; }, 1500);
  };
  document.addEventListener('click', (e) => {
    const b = e.target.closest('[data-drawer], [data-drawer-close], [data-copy-link], [data-copy-from], a[data-closes]');
    if (!b) return;
    if ('drawer' in b.dataset) {
      if (!drawer || e.ctrlKey || e.metaKey || e.shiftKey || e.altKey || e.button !== 0) return;
      e.preventDefault(); opener = b;
      htmx.ajax('GET', b.getAttribute('href'), { target: '#drawer', swap: 'innerHTML' });
    } else if ('drawerClose' in b.dataset) { e.preventDefault(); closeDrawer();
    } else if ('copyLink' in b.dataset) { copy(b, location.origin + b.dataset.copyLink);
    } else if ('copyFrom' in b.dataset) { copy(b, byId(b.dataset.copyFrom)?.textContent ?? '');
    } else if (b.closest('dialog')) e.preventDefault();
  });
  document.addEventListener('keydown', (e) => { if (e.key === 'Escape' && !document.querySelector('dialog[open]')) closeDrawer(); });
})();
