select exists(select from counterfoil.users);
