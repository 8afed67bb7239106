TITLE
atoms that are held
END
POSRESSPEC
    2 TAIL  C4         4
    1 HEAD  C1         1
    1 HEAD  C2     2    0.1 0.2 0.3
END
