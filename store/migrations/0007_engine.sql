-- What else decides the bits of a run's scores. Of runs that were begun before it was kept, it is not known.

ALTER TABLE runs ADD COLUMN engine INTEGER NOT NULL DEFAULT 0; -- version of the computation of scores; 0: not known

ALTER TABLE runs ADD COLUMN architecture TEXT NOT NULL DEFAULT ''; -- of the processor; '': not known
