// Plots: exact values while pointing, and a range chosen by dragging. Without the script an interval is chosen by its link.
(() => {
  'use strict';
  document.documentElement.classList.add('has-plots');
  let drag = null;
  const slotAt = (e) => document.elementFromPoint(e.clientX, e.clientY)?.closest?.('.plot a[data-start]');
  const slots = (plot) => [...plot.querySelectorAll('a[data-start]')];
  const say = (plot, text) => { const p = plot.querySelector('.readout'); p.dataset.hint ??= p.textContent; p.textContent = text || p.dataset.hint; };
  const draw = () => {
    const all = slots(drag.plot), [a, b] = [Math.min(drag.from, drag.to), Math.max(drag.from, drag.to)];
    const first = all[a].querySelector('rect'), last = all[b].querySelector('rect'), mark = drag.plot.querySelector('.chosen-range');
    mark.setAttribute('x', first.getAttribute('x'));
    mark.setAttribute('width', Number(last.getAttribute('x')) + Number(last.getAttribute('width')) - Number(first.getAttribute('x')));
    say(drag.plot, all[a].querySelector('title').textContent.split('–')[0] + ' until ' + all[b].querySelector('title').textContent.split('–')[1].split(': ')[0]);
  };
  const end = () => { drag?.plot.querySelector('.chosen-range').setAttribute('width', 0); drag = null; };
  document.addEventListener('pointerdown', (e) => {
    const slot = e.button === 0 && e.pointerType !== 'touch' && slotAt(e);
    if (!slot) return;
    const plot = slot.closest('.plot'), at = slots(plot).indexOf(slot);
    drag = { plot, from: at, to: at };
  });
  document.addEventListener('pointermove', (e) => {
    const slot = slotAt(e), plot = slot?.closest('.plot');
    if (drag && plot === drag.plot) { drag.to = slots(plot).indexOf(slot); if (drag.to !== drag.from) drag.moved = true; if (drag.moved) { draw(); return; } }
    if (plot) say(plot, slot.querySelector('title').textContent);
    for (const p of document.querySelectorAll('.plot')) if (p !== plot && p !== drag?.plot) say(p, '');
  });
  document.addEventListener('dragstart', (e) => { if (e.target.closest?.('.plot')) e.preventDefault(); });
  document.addEventListener('pointerup', () => {
    if (!drag?.moved) { end(); return; }
    const all = slots(drag.plot), to = new URL(all[drag.from].href.baseVal ?? all[drag.from].href, location.href);
    to.searchParams.set('startTime', all[Math.min(drag.from, drag.to)].dataset.start);
    to.searchParams.set('endTime', all[Math.max(drag.from, drag.to)].dataset.end);
    end();
    location.assign(to);
  });
  // Nothing is replaced while somebody reads the table or drags.
  document.addEventListener('htmx:beforeRequest', (e) => {
    if (e.target.id === 'plots' && (drag || e.target.querySelector('.plots-table[open]')) && e.detail.requestConfig?.triggeringEvent?.type !== 'plots-again') e.preventDefault();
  });
  document.addEventListener('keydown', (e) => { if (e.key === 'Escape') end(); });

  // The plots are drawn in the zone that the page shows: again, if that is another one than the server knew.
  const zone = () => /(?:^|; )outbound-zone=utc(?:;|$)/.test(document.cookie) ? 'UTC' : Intl.DateTimeFormat().resolvedOptions().timeZone;
  const again = () => {
    const s = document.getElementById('plots');
    if (s && s.dataset.zone !== zone() && s.dataset.asked !== zone()) { s.dataset.asked = zone(); window.htmx?.trigger(s, 'plots-again'); }
  };
  document.addEventListener('DOMContentLoaded', () => setTimeout(again));
  document.addEventListener('click', (e) => { if (e.target.closest('[data-zone-toggle]')) setTimeout(again); });
})();
